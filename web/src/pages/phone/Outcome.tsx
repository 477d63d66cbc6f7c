import { Text } from '@mantine/core';
import { clock } from '../../telephony/call';
import type { EndedCall } from '../../telephony/phone';
import { Note } from './Note';
import classes from './phone.module.css';

interface Props {
  ended: EndedCall;
  label: string;
  onDismiss: () => void;
}

/** Says how the last call ended and why: in a sentence first, then the cause by name and code. */
export function Outcome({ ended, label, onDismiss }: Props) {
  const { explanation, talkedMs, sip } = ended;
  return (
    <Note
      tone={explanation.failed ? 'failure' : 'neutral'}
      title={explanation.title}
      onDismiss={onDismiss}
      testId="call-cause"
      data={{ 'data-cause': explanation.name, 'data-cause-code': explanation.code ?? '' }}
    >
      <Text size="sm">{explanation.sentence}</Text>
      <Text size="xs" c="dimmed" mt={4}>
        {ended.direction === 'inbound' ? 'From' : 'To'} {label}
        {talkedMs === null ? '' : ` · ${clock(talkedMs)}`}
      </Text>
      <Text size="xs" mt={2} className={classes['mono'] ?? ''}>
        <span data-testid="call-cause-name">{explanation.name}</span>
        {explanation.code !== null && (
          <>
            {' · '}
            <span data-testid="call-cause-code">{explanation.code}</span>
          </>
        )}
        {sip === null ? '' : ` · ${sip}`}
      </Text>
    </Note>
  );
}
