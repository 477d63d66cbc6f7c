/** What the SDK's own error codes mean to the person at the phone. */

/** Words for a problem. */
export interface ProblemText {
  title: string;
  sentence: string;
}

const PROBLEMS: ReadonlyMap<number, ProblemText> = new Map([
  [
    40001,
    {
      title: 'Browser could not start the call',
      sentence: 'The browser failed to describe its media. Try again; a restart of the browser may help.',
    },
  ],
  [40002, { title: 'Browser could not answer', sentence: 'The browser failed to answer what the server offered.' }],
  [
    40003,
    {
      title: 'Browser refused its own media',
      sentence: 'The browser could not apply its own description of the call.',
    },
  ],
  [
    40004,
    {
      title: 'Browser refused the server’s media',
      sentence: 'The server’s description of the call was not accepted by this browser.',
    },
  ],
  [
    40005,
    { title: 'Server refused the call', sentence: 'The server answered the call’s media description with an error.' },
  ],
  [
    42001,
    {
      title: 'No microphone allowed',
      sentence: 'The browser may not use the microphone. Allow it for this page, then call again.',
    },
  ],
  [
    42002,
    {
      title: 'No microphone found',
      sentence:
        'There is no microphone (or, with video on, no camera). Plug one in, or switch video off, then call again.',
    },
  ],
  [
    42003,
    {
      title: 'Microphone is not available',
      sentence: 'The microphone or camera could not be opened. Another program may be using it.',
    },
  ],
  [44001, { title: 'Hold did not work', sentence: 'The server did not change the hold. The call goes on as it was.' }],
  [44002, { title: 'No destination', sentence: 'Say whom to call first.' }],
  [
    44003,
    { title: 'Hang-up was not confirmed', sentence: 'The call has ended here; the server may notice a moment later.' },
  ],
  [44005, { title: 'Call was closed while starting', sentence: 'The call ended before its media was ready.' }],
  [
    45001,
    {
      title: 'Server cannot be reached',
      sentence: 'No connection to the server could be opened. Is it running, and is its address right?',
    },
  ],
  [
    45002,
    { title: 'Connection lost', sentence: 'The connection to the server broke; the phone tries again by itself.' },
  ],
  [
    45003,
    { title: 'Gave up reconnecting', sentence: 'The server stayed away for too long. Sign in again when it is back.' },
  ],
  [
    45004,
    { title: 'Server is not ready', sentence: 'The server answers but cannot register this phone at the moment.' },
  ],
  [
    46001,
    {
      title: 'Sign-in refused',
      sentence: 'The server refused it. The token or password is wrong or has expired, or the credential was deleted.',
    },
  ],
  [46002, { title: 'Sign-in is incomplete', sentence: 'Give a token, or a SIP user name and its password.' }],
  [46003, { title: 'Sign-in needed', sentence: 'The server no longer knows this phone. Sign in again.' }],
  [
    47001,
    {
      title: 'Media could not be restored',
      sentence: 'The media path broke and a first attempt to restore it failed; another one follows.',
    },
  ],
  [48001, { title: 'No network', sentence: 'This computer is offline.' }],
  [48501, { title: 'The call is gone', sentence: 'The connection came back, but the server no longer had the call.' }],
]);

/** Codes of the problems that have words of their own. */
export const KNOWN_PROBLEMS: readonly number[] = [...PROBLEMS.keys()];

/** Explains an error of the SDK; an unknown one keeps the SDK's own message. */
export function explainProblem(code: number, message: string): ProblemText {
  return PROBLEMS.get(code) ?? { title: 'Something went wrong', sentence: `${message} (${code})` };
}
