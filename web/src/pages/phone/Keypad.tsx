import { UnstyledButton } from '@mantine/core';
import { useEffect, useEffectEvent } from 'react';
import classes from './phone.module.css';

const KEYS: readonly (readonly [digit: string, letters: string, name: string])[] = [
  ['1', '', '1'],
  ['2', 'ABC', '2'],
  ['3', 'DEF', '3'],
  ['4', 'GHI', '4'],
  ['5', 'JKL', '5'],
  ['6', 'MNO', '6'],
  ['7', 'PQRS', '7'],
  ['8', 'TUV', '8'],
  ['9', 'WXYZ', '9'],
  ['*', '', 'star'],
  ['0', '+', '0'],
  ['#', '', 'pound'],
];

interface Props {
  onDigit: (digit: string) => void;
  /** Whether digits typed anywhere on the page count, as they do in a call. */
  listen: boolean;
  disabled?: boolean;
  label: string;
}

/** Twelve keys. In a call the computer's own digits, `*` and `#` work too, wherever the focus is but in a text field. */
export function Keypad({ onDigit, listen, disabled = false, label }: Props) {
  const onTyped = useEffectEvent(onDigit);
  useEffect(() => {
    if (!listen || disabled) return undefined;
    const onKey = (event: KeyboardEvent) => {
      if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || isTextField(event.target)) return;
      if (/^[0-9*#]$/.test(event.key)) onTyped(event.key);
    };
    window.addEventListener('keydown', onKey);
    return () => {
      window.removeEventListener('keydown', onKey);
    };
  }, [listen, disabled]);
  return (
    <div className={classes['keypad']} role="group" aria-label={label} data-testid="dialpad">
      {KEYS.map(([digit, letters, name]) => (
        <UnstyledButton
          key={digit}
          className={classes['key'] ?? ''}
          aria-label={name}
          disabled={disabled}
          onClick={() => {
            onDigit(digit);
          }}
          data-testid={`dialpad-key-${digit}`}
        >
          <span className={classes['keyDigit']}>{digit}</span>
          <span className={classes['keyLetters']} aria-hidden="true">
            {letters}
          </span>
        </UnstyledButton>
      ))}
    </div>
  );
}

function isTextField(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  return (
    target.isContentEditable ||
    target instanceof HTMLTextAreaElement ||
    (target instanceof HTMLInputElement && !/^(radio|checkbox|button)$/.test(target.type))
  );
}
