import { Button, Loader, Text } from '@mantine/core';
import { AlertIcon, CheckIcon, InfoIcon } from '../../icons';
import type { Connection } from '../../telephony/phone';
import classes from './phone.module.css';

interface Props {
  connection: Connection;
  identity: string | null;
  onDisconnect: () => void;
}

/** Says in words how the line to the server is; the icon only repeats it. */
export function StatusLine({ connection, identity, onDisconnect }: Props) {
  const { words, hint } = statusWords(connection, identity);
  const leave = connection.state === 'connecting' ? 'Stop' : 'Sign out';
  return (
    <div className={classes['status']} data-state={connection.state}>
      <span className={classes['statusIcon']}>
        <StatusIcon state={connection.state} />
      </span>
      <div className={classes['statusWords']} role="status">
        <Text fw={600} size="sm" data-testid="status-connection" data-state={connection.state}>
          {words}
        </Text>
        {hint !== null && (
          <Text size="xs" c="dimmed">
            {hint}
          </Text>
        )}
      </div>
      {connection.state !== 'signed-out' && connection.state !== 'failed' && (
        <Button variant="default" size="compact-sm" onClick={onDisconnect} data-testid="btn-disconnect">
          {leave}
        </Button>
      )}
    </div>
  );
}

function StatusIcon({ state }: { state: Connection['state'] }) {
  switch (state) {
    case 'registered':
      return <CheckIcon size={18} />;
    case 'connecting':
    case 'reconnecting':
      return <Loader size={16} color="currentColor" aria-hidden="true" />;
    case 'failed':
      return <AlertIcon size={18} />;
    case 'signed-out':
      return <InfoIcon size={18} />;
  }
}

function statusWords(connection: Connection, identity: string | null): { words: string; hint: string | null } {
  const as = identity === null ? '' : ` as ${identity}`;
  switch (connection.state) {
    case 'signed-out':
      return { words: 'Not connected', hint: null };
    case 'connecting':
      return connection.unanswered
        ? { words: 'Connecting: no answer yet', hint: 'The server does not take the connection. Trying again…' }
        : { words: `Connecting${as}…`, hint: null };
    case 'registered':
      return { words: `Registered${as}`, hint: null };
    case 'reconnecting':
      return { words: 'Connection lost, reconnecting…', hint: 'A call in progress goes on and is picked up again.' };
    case 'failed':
      return { words: `Failed: ${connection.failure.title.toLowerCase()}`, hint: null };
  }
}
