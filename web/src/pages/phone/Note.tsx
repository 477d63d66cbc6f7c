import { CloseButton, Text } from '@mantine/core';
import type { ReactNode } from 'react';
import { AlertIcon, InfoIcon } from '../../icons';
import classes from './phone.module.css';

interface Props {
  /** Colour and icon; the title says the same in words. */
  tone: 'failure' | 'warning' | 'neutral';
  title: string;
  children: ReactNode;
  onDismiss?: () => void;
  testId: string;
  /** Further `data-` attributes for tests. */
  data?: Record<`data-${string}`, string | number>;
}

/** A few words that stand out: what failed, what to know. Failures and warnings are read out at once. */
export function Note({ tone, title, children, onDismiss, testId, data }: Props) {
  return (
    <section
      className={classes['note']}
      data-tone={tone}
      role={tone === 'neutral' ? 'status' : 'alert'}
      data-testid={testId}
      {...data}
    >
      <span className={classes['noteIcon']}>{tone === 'neutral' ? <InfoIcon /> : <AlertIcon />}</span>
      <div className={classes['noteBody']}>
        <Text fw={650} size="sm">
          {title}
        </Text>
        {children}
      </div>
      {onDismiss !== undefined && <CloseButton size="sm" aria-label="Dismiss" onClick={onDismiss} />}
    </section>
  );
}
