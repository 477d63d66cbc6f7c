import { Anchor, Button, Divider, Group, PasswordInput, Radio, Skeleton, Stack, Text, TextInput } from '@mantine/core';
import type { SyntheticEvent } from 'react';
import { useState } from 'react';
import { WindowIcon } from '../../icons';
import type { DevCredential } from '../../portal/dev';
import type { Failure } from '../../telephony/phone';
import type { Credentials } from '../../telephony/sdk';
import { Note } from './Note';
import classes from './phone.module.css';

interface Props {
  /** Null while the page still asks for them. */
  ready: readonly DevCredential[] | null;
  host: string;
  ownHost: boolean;
  failure: Failure | null;
  connecting: boolean;
  /** A user name kept over a reload. */
  username: string;
  onReady: (credential: DevCredential) => void;
  onManual: (credentials: Credentials) => void;
}

/** Offers the ready credentials of a development server, and the form that works with any. */
export function SignIn(props: Props) {
  const { ready, failure, host, ownHost } = props;
  return (
    <Stack gap="md">
      {failure !== null && (
        <Note tone="failure" title={failure.title} testId="login-failure">
          <Text size="sm">{failure.sentence}</Text>
          {failure.detail !== null && (
            <Text size="xs" mt={4} ff="monospace">
              The server said: {failure.detail}
            </Text>
          )}
        </Note>
      )}
      {ready === null && (
        <Stack gap="xs" aria-busy="true" aria-label="Looking for ready credentials">
          <Skeleton height={44} />
          <Skeleton height={44} />
        </Stack>
      )}
      {ready !== null && ready.length > 0 && <ReadyCredentials {...props} ready={ready} />}
      {!ownHost && (
        <Text size="xs" c="dimmed">
          Server: <span className={classes['mono']}>{host}</span>
        </Text>
      )}
      <ManualForm {...props} />
    </Stack>
  );
}

function ReadyCredentials({ ready, connecting, onReady }: Props & { ready: readonly DevCredential[] }) {
  const [first, ...others] = ready;
  if (first === undefined) return null;
  const home = others.filter(({ account }) => account === first.account);
  const away = others.filter(({ account }) => account !== first.account);
  return (
    <>
      <Stack gap="xs">
        <Button
          size="md"
          disabled={connecting}
          onClick={() => {
            onReady(first);
          }}
          data-testid={`btn-as-${first.slug}`}
        >
          Call as {first.label}
        </Button>
        {home.map((credential) => (
          <Button
            key={credential.slug}
            component="a"
            href={asHref(credential)}
            target="_blank"
            rel="noopener"
            size="md"
            variant="light"
            rightSection={<WindowIcon size={16} />}
            data-testid={`link-as-${credential.slug}`}
          >
            Call as {credential.label}
            <span className={classes['srOnly']}> (opens a new window)</span>
          </Button>
        ))}
        {away.length > 0 && (
          <Text size="xs" c="dimmed" ta="center">
            From another account:{' '}
            {away.map((credential, index) => (
              <span key={credential.slug}>
                {index > 0 && ', '}
                <Anchor
                  href={asHref(credential)}
                  target="_blank"
                  rel="noopener"
                  size="xs"
                  data-testid={`link-as-${credential.slug}`}
                >
                  {credential.label}
                  <span className={classes['srOnly']}> (opens a new window)</span>
                </Anchor>
              </span>
            ))}
          </Text>
        )}
      </Stack>
      <Divider label="or sign in by hand" labelPosition="center" />
    </>
  );
}

/** Opens another phone in a window of its own: the SDK keeps its session in the window's storage. */
export function asHref(credential: DevCredential): string {
  const query = new URLSearchParams(window.location.search);
  query.set('as', credential.slug);
  return `/?${query.toString()}`;
}

function ManualForm({ connecting, username: keptUsername, onManual }: Props) {
  const [kind, setKind] = useState<Credentials['kind']>(keptUsername === '' ? 'token' : 'password');
  const [token, setToken] = useState('');
  const [username, setUsername] = useState(keptUsername);
  const [password, setPassword] = useState('');
  const complete = kind === 'token' ? token.trim() !== '' : username.trim() !== '' && password !== '';
  const submit = (event: SyntheticEvent) => {
    event.preventDefault();
    if (!complete || connecting) return;
    onManual(kind === 'token' ? { kind, token: token.trim() } : { kind, username: username.trim(), password });
  };
  return (
    <form onSubmit={submit} aria-label="Sign in">
      <Stack gap="sm">
        <Radio.Group
          label="Sign in with"
          value={kind}
          onChange={(value) => {
            setKind(value === 'password' ? 'password' : 'token');
          }}
        >
          <Group mt={6} gap="lg">
            <Radio value="token" label="Access token" data-testid="radio-token" />
            <Radio value="password" label="User name and password" data-testid="radio-credentials" />
          </Group>
        </Radio.Group>
        {kind === 'token' ? (
          <TextInput
            label="Access token"
            description="From POST /v2/telephony_credentials/{id}/token"
            placeholder="eyJ…"
            autoComplete="off"
            spellCheck={false}
            value={token}
            onChange={(event) => {
              setToken(event.currentTarget.value);
            }}
            classNames={{ input: classes['mono'] ?? '' }}
            data-testid="input-login-token"
          />
        ) : (
          <>
            <TextInput
              label="SIP user name"
              autoComplete="username"
              autoCapitalize="none"
              spellCheck={false}
              value={username}
              onChange={(event) => {
                setUsername(event.currentTarget.value);
              }}
              data-testid="input-username"
            />
            <PasswordInput
              label="Password"
              description={keptUsername === '' ? null : 'It is not kept over a reload. A call waits for a minute.'}
              autoComplete="current-password"
              value={password}
              onChange={(event) => {
                setPassword(event.currentTarget.value);
              }}
              visibilityToggleButtonProps={{ 'aria-label': 'Show or hide the password', tabIndex: 0 }}
              data-testid="input-password"
            />
          </>
        )}
        <Button type="submit" variant="default" loading={connecting} disabled={!complete} data-testid="btn-connect">
          Connect
        </Button>
      </Stack>
    </form>
  );
}
