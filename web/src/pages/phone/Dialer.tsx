import { ActionIcon, Anchor, Button, Group, Stack, Switch, Text, TextInput } from '@mantine/core';
import { BackspaceIcon, WindowIcon } from '../../icons';
import type { DevCredential } from '../../portal/dev';
import { asHref } from './SignIn';
import classes from './phone.module.css';

/** What the person has filled in. */
export interface DialDraft {
  destination: string;
  callerName: string;
  callerNumber: string;
}

interface Props {
  draft: DialDraft;
  video: boolean;
  /** The ready credentials, without the one that is signed in. */
  others: readonly DevCredential[];
  /** The account of the one that is signed in. */
  account: string | null;
  onDraft: (change: Partial<DialDraft>) => void;
  onVideo: (video: boolean) => void;
}

/** Whom to call, and as whom. The keypad below it types into the destination. */
export function Dialer({ draft, video, others, account, onDraft, onVideo }: Props) {
  const chosen = others.find(({ sipUsername }) => sipUsername === draft.destination);
  return (
    <Stack gap="sm">
      <TextInput
        label="Destination"
        description={chosen === undefined ? 'A user name, a SIP address or a number' : `${chosen.label}’s user name`}
        placeholder="gencred…, sip:name@host, +1…"
        autoComplete="off"
        autoCapitalize="none"
        spellCheck={false}
        value={draft.destination}
        onChange={(event) => {
          onDraft({ destination: event.currentTarget.value });
        }}
        rightSection={
          draft.destination === '' ? null : (
            <ActionIcon
              variant="subtle"
              color="gray"
              aria-label="Delete the last character"
              onClick={() => {
                onDraft({ destination: chosen === undefined ? draft.destination.slice(0, -1) : '' });
              }}
            >
              <BackspaceIcon size={18} />
            </ActionIcon>
          )
        }
        data-testid="input-destination"
      />
      {others.length > 0 && (
        <Stack gap={6}>
          {others.map((credential) => (
            <Group key={credential.slug} gap="xs" justify="space-between" wrap="nowrap">
              <Button
                size="compact-sm"
                variant={chosen === credential ? 'filled' : 'default'}
                aria-pressed={chosen === credential}
                onClick={() => {
                  onDraft({ destination: credential.sipUsername });
                }}
                data-testid={`destination-${credential.slug}`}
              >
                {credential.label}
              </Button>
              {credential.account !== account && account !== null ? (
                <Text size="xs" c="dimmed">
                  another account
                </Text>
              ) : (
                <Anchor
                  href={asHref(credential)}
                  target="_blank"
                  rel="noopener"
                  size="xs"
                  className={classes['windowLink'] ?? ''}
                >
                  Open {credential.label}’s phone
                  <WindowIcon size={13} />
                  <span className={classes['srOnly']}> (opens a new window)</span>
                </Anchor>
              )}
            </Group>
          ))}
        </Stack>
      )}
      <Group grow gap="xs">
        <TextInput
          label="Your name"
          size="xs"
          autoComplete="off"
          value={draft.callerName}
          onChange={(event) => {
            onDraft({ callerName: event.currentTarget.value });
          }}
          data-testid="input-caller-id-name"
        />
        <TextInput
          label="Your number"
          size="xs"
          autoComplete="off"
          value={draft.callerNumber}
          onChange={(event) => {
            onDraft({ callerNumber: event.currentTarget.value });
          }}
          data-testid="input-caller-id-number"
        />
      </Group>
      <Switch
        label="Video"
        size="sm"
        checked={video}
        onChange={(event) => {
          onVideo(event.currentTarget.checked);
        }}
        classNames={{ track: classes['switchTrack'] ?? '' }}
        data-testid="switch-video"
      />
    </Stack>
  );
}
