import { Button, Group, Tabs, Text } from '@mantine/core';
import type { Log, LogEntry } from '../../telephony/log';
import { useLog } from '../../telephony/usePhone';
import classes from './phone.module.css';

interface Props {
  frames: Log;
  events: Log;
  /** Whether there is a socket to cut. */
  connected: boolean;
  onCut: () => void;
}

/** What happened, in words, and the signalling frames behind it. */
export function LogPane({ frames, events, connected, onCut }: Props) {
  return (
    <section className={`${classes['card'] ?? ''} ${classes['logCard'] ?? ''}`} aria-label="Log">
      <Tabs defaultValue="messages" className={classes['tabs'] ?? ''}>
        <Group justify="space-between" align="center" gap="xs" mb="xs">
          <Tabs.List>
            <Tabs.Tab value="messages" data-testid="tab-messages">
              Messages
            </Tabs.Tab>
            <Tabs.Tab value="events" data-testid="tab-events">
              Events
            </Tabs.Tab>
          </Tabs.List>
          <Group gap="xs" wrap="nowrap">
            <Button
              size="compact-xs"
              variant="default"
              disabled={!connected}
              onClick={onCut}
              title="Close the WebSocket as a lost network would"
              data-testid="btn-disconnect-socket"
            >
              Cut connection
            </Button>
            <Button
              size="compact-xs"
              variant="default"
              onClick={() => {
                frames.clear();
                events.clear();
              }}
            >
              Clear
            </Button>
          </Group>
        </Group>
        <Tabs.Panel value="messages" className={classes['panel'] ?? ''}>
          <Entries
            log={frames}
            testId="wsMessages"
            empty="Frames on the WebSocket appear here, newest first, without their secrets."
          />
        </Tabs.Panel>
        <Tabs.Panel value="events" className={classes['panel'] ?? ''}>
          <Entries log={events} testId="logs" empty="What happens appears here, newest first." />
        </Tabs.Panel>
      </Tabs>
    </section>
  );
}

function Entries({ log, testId, empty }: { log: Log; testId: string; empty: string }) {
  const { entries, dropped } = useLog(log);
  return (
    <div
      className={classes['entries']}
      data-testid={testId}
      tabIndex={0}
      role="log"
      aria-live="off"
      aria-label={testId === 'logs' ? 'Events' : 'Messages'}
    >
      {entries.length === 0 && (
        <Text size="sm" c="dimmed" p="sm">
          {empty}
        </Text>
      )}
      {entries.map((entry) => (
        <Entry key={entry.id} entry={entry} />
      ))}
      {dropped > 0 && (
        <Text size="xs" c="dimmed" p="xs">
          {dropped} older entries were let go.
        </Text>
      )}
    </div>
  );
}

function Entry({ entry }: { entry: LogEntry }) {
  const line = (
    <>
      <time className={classes['entryTime']} dateTime={entry.at.toISOString()}>
        {entry.at.toLocaleTimeString(undefined, { hour12: false })}
      </time>
      {entry.kind !== 'event' && (
        <span className={classes['entryKind']}>{entry.kind === 'sent' ? 'sent →' : '← received'}</span>
      )}
      <span className={classes['entryTitle']}>
        {entry.failed && !entry.title.startsWith('error') && <span className={classes['entryFailed']}>failed </span>}
        <span className={entry.failed && entry.title.startsWith('error') ? classes['entryFailed'] : undefined}>
          {entry.title}
        </span>
      </span>
    </>
  );
  if (entry.detail === '') return <div className={classes['entry']}>{line}</div>;
  return (
    <details className={classes['entry']}>
      <summary>{line}</summary>
      <pre data-testid={`wsMessages-webrtc-children-${entry.title}`}>{entry.detail}</pre>
    </details>
  );
}
