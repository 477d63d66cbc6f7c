import { Button } from '@mantine/core';
import { useCallback, useEffect, useRef, useState } from 'react';
import { Note } from './Note';
import classes from './phone.module.css';

/**
 * Plays what the far side sends. The element stays for as long as the call, whatever part of it is on screen.
 *
 * A browser may hold back sound on a page that nobody has touched yet, as after a reload; then a button appears.
 */
export function RemoteAudio({ stream }: { stream: MediaStream | null }) {
  const element = useRef<HTMLAudioElement>(null);
  const [blocked, setBlocked] = useState(false);
  const play = useCallback(() => {
    const audio = element.current;
    if (audio?.srcObject == null) return;
    audio.play().then(
      () => {
        setBlocked(false);
      },
      (error: unknown) => {
        // AbortError only says that a newer stream took the place of this one.
        setBlocked(error instanceof DOMException && error.name === 'NotAllowedError');
      },
    );
  }, []);
  useEffect(() => {
    const audio = element.current;
    if (audio === null || audio.srcObject === stream) return;
    audio.srcObject = stream;
    play();
  }, [stream, play]);
  return (
    <>
      <audio ref={element} autoPlay data-testid="remote-audio" />
      {blocked && (
        <Note tone="warning" title="The browser holds back the sound" testId="sound-blocked">
          <Button size="compact-sm" onClick={play}>
            Play it
          </Button>
        </Note>
      )}
    </>
  );
}

interface VideoProps {
  local: MediaStream | null;
  remote: MediaStream | null;
  peer: string;
}

/** Shows both pictures, when there are any; the sound comes from {@link RemoteAudio}. */
export function CallVideo({ local, remote, peer }: VideoProps) {
  const showRemote = hasVideo(remote);
  const showLocal = hasVideo(local);
  if (!showRemote && !showLocal) return null;
  return (
    <div className={classes['stage']}>
      {showRemote ? (
        <Picture stream={remote} label={`Video of ${peer}`} testId="remote-video" className={classes['remoteVideo']} />
      ) : (
        <p className={classes['stageNote']}>{peer} sends no video</p>
      )}
      {showLocal && (
        <Picture stream={local} label="Your own video" testId="local-video" className={classes['localVideo']} />
      )}
    </div>
  );
}

function Picture(props: { stream: MediaStream | null; label: string; testId: string; className: string | undefined }) {
  const { stream, label, testId, className } = props;
  const element = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    if (element.current !== null && element.current.srcObject !== stream) element.current.srcObject = stream;
  }, [stream]);
  return (
    <video ref={element} className={className} autoPlay playsInline muted aria-label={label} data-testid={testId} />
  );
}

/** Whether a stream has a picture to show. */
export function hasVideo(stream: MediaStream | null): boolean {
  return stream?.getVideoTracks().some((track) => track.readyState === 'live') ?? false;
}
