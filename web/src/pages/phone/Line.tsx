import { Button, Group, Stack, Text } from '@mantine/core';
import { useEffect, useState } from 'react';
import { HangUpIcon, PhoneIcon } from '../../icons';
import type { DevCredential } from '../../portal/dev';
import type { CallView } from '../../telephony/call';
import { isAnswered, phaseWords } from '../../telephony/call';
import type { Phone, PhoneState } from '../../telephony/phone';
import { useRinging } from '../../telephony/tones';
import { RemoteAudio } from './CallMedia';
import { CallPanel, IncomingCall } from './CallPanel';
import type { DialDraft } from './Dialer';
import { Dialer } from './Dialer';
import { Keypad } from './Keypad';
import { peerLabel } from './names';
import classes from './phone.module.css';

interface Props {
  phone: Phone;
  state: PhoneState;
  known: readonly DevCredential[];
  video: boolean;
  onVideo: (video: boolean) => void;
}

/** The phone proper: what rings, what is on the line, the keypad that never moves, and the one big button below it. */
export function Line({ phone, state, known, video, onVideo }: Props) {
  const self = known.find(({ label }) => label === state.identity);
  const [draft, setDraft] = useState<DialDraft>({
    destination: '',
    callerName: self?.label ?? state.identity ?? '',
    callerNumber: self?.sipUsername ?? '',
  });
  const [sent, setSent] = useState<{ id: string; digits: string }>({ id: '', digits: '' });
  const incoming = state.calls.filter(({ phase }) => phase === 'incoming');
  const call = currentCall(state.calls);
  const parked = state.calls.filter((other) => other !== call && other.phase !== 'incoming');
  const registered = state.connection.state === 'registered';
  const labelOf = (one: CallView) => peerLabel(one.peerNumber, one.peerName, known);
  const status = statusWords(call, incoming[0], labelOf);
  usePageTitle(call === null && incoming.length === 0 ? null : status);
  useRinging(incoming.length > 0 ? 'incoming' : call?.phase === 'ringing' ? 'outgoing' : null);

  const onDigit = (digit: string) => {
    if (call === null) {
      setDraft((before) => ({ ...before, destination: before.destination + digit }));
      return;
    }
    phone.sendDigit(call.id, digit);
    setSent((before) => ({ id: call.id, digits: `${before.id === call.id ? before.digits : ''}${digit}`.slice(-24) }));
  };
  const others = known.filter((credential) => credential !== self);
  const destination = draft.destination.trim();
  const place = () => {
    if (destination === '' || !registered) return;
    phone.dial({ ...draft, destination, video });
  };

  return (
    <Stack gap="md">
      <Text
        size="sm"
        className={classes['srOnly'] ?? ''}
        role="status"
        data-testid="status-call"
        data-phase={call?.phase ?? incoming[0]?.phase ?? 'idle'}
      >
        {status}
      </Text>
      {state.calls.map((one) => (
        <RemoteAudio key={one.id} stream={one.remoteStream} />
      ))}
      {incoming.map((one) => (
        <IncomingCall
          key={one.id}
          call={one}
          label={labelOf(one)}
          holdsOther={call?.phase === 'active'}
          onAnswer={() => {
            phone.answer(one.id, video);
          }}
          onReject={() => {
            phone.hangUp(one.id);
          }}
        />
      ))}
      {parked.map((one) => (
        <ParkedCall key={one.id} phone={phone} call={one} label={labelOf(one)} />
      ))}
      {(call !== null || incoming.length === 0) && (
        <form
          className={classes['line']}
          aria-label="Call"
          onSubmit={(event) => {
            event.preventDefault();
            if (call === null) place();
          }}
        >
          {call !== null ? (
            <CallPanel
              call={call}
              label={labelOf(call)}
              digits={sent.id === call.id ? sent.digits : ''}
              onHold={() => void phone.toggleHold(call.id)}
              onMute={() => {
                phone.toggleMute(call.id);
              }}
            />
          ) : (
            <Dialer
              draft={draft}
              video={video}
              others={others}
              account={self?.account ?? null}
              onDraft={(change) => {
                setDraft((before) => ({ ...before, ...change }));
              }}
              onVideo={onVideo}
            />
          )}
          <Keypad
            label={call === null ? 'Keypad, types a destination' : 'Keypad, sends digits'}
            listen={call !== null}
            disabled={call !== null && call.phase !== 'active' && call.phase !== 'held'}
            onDigit={onDigit}
          />
          <BigButton
            call={call}
            ready={destination !== '' && registered}
            onHangUp={() => {
              if (call !== null) phone.hangUp(call.id);
            }}
          />
        </form>
      )}
    </Stack>
  );
}

/**
 * Calls, cancels, or hangs up: one place for all three.
 *
 * The second half of a double click lands on what the button has just become, and is ignored.
 */
function BigButton({ call, ready, onHangUp }: { call: CallView | null; ready: boolean; onHangUp: () => void }) {
  const settled = call !== null && (isAnswered(call) || call.direction === 'inbound');
  if (call === null) {
    return (
      <Button
        type="submit"
        size="lg"
        fullWidth
        disabled={!ready}
        leftSection={<PhoneIcon />}
        onClick={(event) => {
          if (event.detail > 1) event.preventDefault();
        }}
        data-testid="btn-call"
      >
        Call
      </Button>
    );
  }
  return (
    <Button
      size="lg"
      fullWidth
      color="red.8"
      disabled={call.phase === 'ending'}
      leftSection={<HangUpIcon />}
      onClick={(event) => {
        if (event.detail <= 1) onHangUp();
      }}
      data-testid={settled ? 'btn-end-call' : 'btn-hangup'}
    >
      {settled ? 'Hang up' : 'Cancel'}
    </Button>
  );
}

/** A call that waits while another is on the line. */
function ParkedCall({ phone, call, label }: { phone: Phone; call: CallView; label: string }) {
  return (
    <Group
      className={classes['parked'] ?? ''}
      justify="space-between"
      wrap="nowrap"
      role="group"
      aria-label={`Other call: ${label}`}
    >
      <div>
        <Text size="sm" fw={600}>
          {label}
        </Text>
        <Text size="xs" c="dimmed">
          {phaseWords(call.phase)}
        </Text>
      </div>
      <Group gap="xs" wrap="nowrap">
        <Button
          size="compact-sm"
          variant="light"
          disabled={call.phase !== 'held' || call.holdPending}
          onClick={() => void phone.toggleHold(call.id)}
        >
          Switch
        </Button>
        <Button
          size="compact-sm"
          variant="default"
          onClick={() => {
            phone.hangUp(call.id);
          }}
        >
          Hang up
        </Button>
      </Group>
    </Group>
  );
}

/** Tells of a call in the window's title too, for when the window is behind others. */
function usePageTitle(call: string | null): void {
  useEffect(() => {
    document.title = call === null ? 'Phone · ringtrip' : `${call} · Phone`;
    return () => {
      document.title = 'Phone · ringtrip';
    };
  }, [call]);
}

/** The call to show: one being talked to, else one on its way, else the newest on hold. */
function currentCall(calls: readonly CallView[]): CallView | null {
  const rank = (call: CallView) =>
    call.phase === 'active' ? 3 : call.phase === 'held' ? 1 : call.phase === 'ending' ? 0 : 2;
  let best: CallView | null = null;
  for (const call of calls) {
    if (call.phase !== 'incoming' && (best === null || rank(call) >= rank(best))) best = call;
  }
  return best;
}

function statusWords(
  call: CallView | null,
  incoming: CallView | undefined,
  labelOf: (call: CallView) => string,
): string {
  if (call !== null) return `${phaseWords(call.phase)} ${labelOf(call)}${call.muted ? ', muted' : ''}`;
  if (incoming !== undefined) return `${phaseWords(incoming.phase)} ${labelOf(incoming)}`;
  return 'No call';
}
