import { ActionIcon, Stack, Text, Title, useComputedColorScheme, useMantineColorScheme } from '@mantine/core';
import { useCallback, useEffect, useMemo, useRef, useState } from 'react';
import { Mark, MoonIcon, SunIcon } from '../../icons';
import type { DevCredential } from '../../portal/dev';
import { loadDevCredentials } from '../../portal/dev';
import type { Phone } from '../../telephony/phone';
import { rememberedSignIn } from '../../telephony/remembered';
import type { Credentials } from '../../telephony/sdk';
import { usePhoneState } from '../../telephony/usePhone';
import { LogPane } from './LogPane';
import { Line } from './Line';
import { Note } from './Note';
import { Outcome } from './Outcome';
import { SignIn } from './SignIn';
import { StatusLine } from './StatusLine';
import { readAddress, writeAddress } from './address';
import { peerLabel } from './names';
import classes from './phone.module.css';

/** A softphone in one page: sign in, call, and see why it worked or did not. */
export function PhonePage({ phone }: { phone: Phone }) {
  const address = useMemo(() => readAddress(window.location), []);
  const kept = useMemo(() => rememberedSignIn(), []);
  const state = usePhoneState(phone);
  const { connection, identity, ended, notice } = state;
  const [ready, setReady] = useState<readonly DevCredential[] | null>(null);
  const [video, setVideo] = useState(address.video);
  const began = useRef(false);

  const signIn = useCallback(
    (credentials: Credentials, name: string | null) => {
      void phone.signIn({ host: address.host, credentials, identity: name, video });
    },
    [phone, address.host, video],
  );
  const signInAs = useCallback(
    (credential: DevCredential) => {
      writeAddress('as', credential.slug);
      signIn({ kind: 'token', token: credential.token }, credential.label);
    },
    [signIn],
  );

  // Once, when the ready credentials are known: `?as=` signs in at once, else a token that this tab kept does.
  const begin = useCallback(
    (credentials: readonly DevCredential[]) => {
      if (began.current) return;
      began.current = true;
      const wanted = credentials.find(({ slug }) => slug === address.as);
      if (wanted !== undefined && address.ownHost) signInAs(wanted);
      else if (kept?.kind === 'token' && kept.host === address.host) signIn({ kind: 'token', token: kept.token }, null);
    },
    [address, kept, signIn, signInAs],
  );
  useEffect(() => {
    const abort = new AbortController();
    void loadDevCredentials(abort.signal).then((answer) => {
      if (abort.signal.aborted) return;
      const credentials = answer.state === 'ready' ? answer.credentials : [];
      setReady(credentials);
      begin(credentials);
    });
    return () => {
      abort.abort();
    };
  }, [begin]);

  const known = ready ?? [];
  const signedIn = connection.state === 'registered' || connection.state === 'reconnecting';
  return (
    <main className={classes['page']}>
      <Header />
      <div className={classes['columns']}>
        <section className={classes['card']} aria-label="Phone">
          <StatusLine
            connection={connection}
            identity={identity}
            onDisconnect={() => {
              writeAddress('as', null);
              void phone.signOut();
            }}
          />
          <Stack gap="md" mt="md">
            {ended !== null && (
              <Outcome
                ended={ended}
                label={peerLabel(ended.peerNumber, ended.peerName, known)}
                onDismiss={() => {
                  phone.dismiss();
                }}
              />
            )}
            {notice !== null && (
              <Note
                tone="warning"
                title={notice.title}
                onDismiss={() => {
                  phone.dismiss();
                }}
                testId="notice"
              >
                <Text size="sm">{notice.sentence}</Text>
              </Note>
            )}
            {signedIn ? (
              <Line
                phone={phone}
                state={state}
                known={known}
                video={video}
                onVideo={(wanted) => {
                  setVideo(wanted);
                  writeAddress('video', wanted ? '1' : null);
                  phone.setVideo(wanted);
                }}
              />
            ) : (
              <SignIn
                ready={ready}
                host={address.host}
                ownHost={address.ownHost}
                failure={connection.state === 'failed' ? connection.failure : null}
                connecting={connection.state === 'connecting'}
                username={kept?.kind === 'password' && kept.host === address.host ? kept.username : ''}
                onReady={signInAs}
                onManual={(credentials) => {
                  writeAddress('as', null);
                  signIn(credentials, credentials.kind === 'password' ? credentials.username : null);
                }}
              />
            )}
          </Stack>
        </section>
        <LogPane
          frames={phone.frames}
          events={phone.events}
          connected={connection.state === 'registered'}
          onCut={() => {
            phone.cutSocket();
          }}
        />
      </div>
    </main>
  );
}

function Header() {
  const { setColorScheme } = useMantineColorScheme();
  const dark = useComputedColorScheme('light') === 'dark';
  return (
    <header className={classes['header']}>
      <Mark />
      <Title order={1} size="h4">
        Phone
      </Title>
      <Text size="sm" c="dimmed">
        ringtrip
      </Text>
      <ActionIcon
        variant="subtle"
        color="gray"
        size="lg"
        ml="auto"
        aria-label={dark ? 'Use light colours' : 'Use dark colours'}
        onClick={() => {
          setColorScheme(dark ? 'light' : 'dark');
        }}
      >
        {dark ? <SunIcon /> : <MoonIcon />}
      </ActionIcon>
    </header>
  );
}
