import { Button, Code, Group, List, Text } from '@mantine/core';
import { useEffect, useRef } from 'react';
import { HangUpIcon, MicIcon, MicOffIcon, PauseIcon, PhoneIcon, PlayIcon } from '../../icons';
import type { CallView } from '../../telephony/call';
import { isAnswered, phaseWords } from '../../telephony/call';
import { CallClock } from './CallClock';
import { CallVideo, hasVideo } from './CallMedia';
import { Note } from './Note';
import { initial, shortNumber } from './names';
import classes from './phone.module.css';

interface PartyProps {
  call: CallView;
  label: string;
}

/** Who it is; a picture of them takes the place of the badge. */
function Party({ call, label }: PartyProps) {
  const number = call.peerNumber;
  return (
    <>
      {!hasVideo(call.remoteStream) && (
        <div className={classes['avatar']} data-phase={call.phase} aria-hidden="true">
          {initial(label)}
        </div>
      )}
      <Text component="h2" className={classes['peer'] ?? ''} data-testid="call-peer">
        {label}
      </Text>
      {number !== '' && number !== label && (
        <Text size="xs" c="dimmed" className={classes['mono'] ?? ''} title={number}>
          {shortNumber(number)}
        </Text>
      )}
    </>
  );
}

interface IncomingProps extends PartyProps {
  /** Somebody is being talked to already, and would be put on hold. */
  holdsOther: boolean;
  onAnswer: () => void;
  onReject: () => void;
}

/** A call that rings here. */
export function IncomingCall({ call, label, holdsOther, onAnswer, onReject }: IncomingProps) {
  return (
    <section className={classes['incoming']} aria-label={`Incoming call from ${label}`} data-testid="incoming-call">
      <Text size="sm" fw={600} role="alert">
        Incoming call<span className={classes['srOnly']}> from {label}</span>
      </Text>
      <Party call={call} label={label} />
      {holdsOther && (
        <Text size="xs" c="dimmed">
          Answering puts the present call on hold.
        </Text>
      )}
      <Group grow w="100%" mt="sm">
        <Button
          size="md"
          color="red.8"
          leftSection={<HangUpIcon size={18} />}
          onClick={onReject}
          data-testid="btn-reject-call"
        >
          Decline
        </Button>
        <Button size="md" leftSection={<PhoneIcon size={18} />} onClick={onAnswer} data-testid="btn-answer-call">
          Answer
        </Button>
      </Group>
    </section>
  );
}

interface PanelProps extends PartyProps {
  digits: string;
  onHold: () => void;
  onMute: () => void;
}

/** The call that is on the line. */
export function CallPanel({ call, label, digits, onHold, onMute }: PanelProps) {
  const answered = isAnswered(call);
  const held = call.phase === 'held';
  const canControl = call.phase === 'active' || held;
  const panel = useRef<HTMLElement>(null);
  // The button that was pressed to get here may be gone; the keyboard goes on from the call.
  useEffect(() => {
    if (document.activeElement === document.body) panel.current?.focus();
  }, []);
  return (
    <section
      ref={panel}
      tabIndex={-1}
      className={classes['call']}
      aria-label={`Call with ${label}`}
      data-testid="call-panel"
    >
      <CallVideo local={call.localStream} remote={call.remoteStream} peer={label} />
      <Party call={call} label={label} />
      <Text size="sm" c={held ? 'inherit' : 'dimmed'} fw={held ? 600 : 400} className={classes['callState'] ?? ''}>
        {phaseWords(call.phase)}
        {call.activeSince !== null && (
          <>
            {' · '}
            <CallClock since={call.activeSince} />
          </>
        )}
      </Text>
      {call.noCandidates && <NoNetwork />}
      {answered && (
        <Group grow w="100%" gap="xs" mt="xs">
          <Button
            variant={call.muted ? 'filled' : 'default'}
            color="dark.4"
            aria-pressed={call.muted}
            disabled={!canControl}
            leftSection={call.muted ? <MicOffIcon size={18} /> : <MicIcon size={18} />}
            onClick={onMute}
            data-testid="btn-toggle-mute"
          >
            {call.muted ? 'Unmute' : 'Mute'}
          </Button>
          <Button
            variant={held ? 'filled' : 'default'}
            color="dark.4"
            aria-pressed={held}
            disabled={!canControl || call.holdPending}
            leftSection={held ? <PlayIcon size={18} /> : <PauseIcon size={18} />}
            onClick={onHold}
            data-testid="btn-hold-call"
          >
            {held ? 'Resume' : 'Hold'}
          </Button>
        </Group>
      )}
      <Text size="sm" className={classes['digits'] ?? ''} aria-live="polite" data-testid="sent-digits">
        {digits === '' ? '' : `Sent: ${digits}`}
      </Text>
    </section>
  );
}

/** Chromium found nothing to call over; says so, and what helps. */
function NoNetwork() {
  return (
    <Note tone="warning" title="The browser found no network to call over" testId="no-candidates">
      <Text size="sm">
        It has gathered no address for 3 seconds. That happens when loopback is this computer’s only network interface:
        the browser leaves it out. Either of these helps:
      </Text>
      <List size="sm" mt={4}>
        <List.Item>
          Give the computer any other interface with an address (Wi-Fi, a cable, a dummy interface). Internet is not
          needed.
        </List.Item>
        <List.Item>
          Start Chromium with <Code>--allow-loopback-in-peer-connection</Code>
        </List.Item>
      </List>
    </Note>
  );
}
