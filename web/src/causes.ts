/**
 * Why a call ended, in words a person understands.
 *
 * The names and codes are those of the hang-up message (`cause`, `causeCode`): Q.850 numbers where there is one, the
 * switch's own otherwise. The sentence depends on the side: `USER_BUSY` tells a caller something else than a callee.
 */

/** Who placed the call, seen from this page. */
export type Direction = 'inbound' | 'outbound';

/** What the page knows about a cause by its name. */
interface CauseText {
  code: number;
  /** Two or three words for a headline. */
  title: string;
  /** One sentence for the caller. */
  caller: string;
  /** One sentence for the callee, where it differs. */
  callee?: string;
  /** Whether this is the ordinary end of a call and no failure. */
  ordinary?: true;
}

/** The explanation the page shows. */
export interface Explanation {
  name: string;
  code: number | null;
  title: string;
  sentence: string;
  /** A failure is shown as a warning, an ordinary end is only mentioned. */
  failed: boolean;
}

const CAUSES: ReadonlyMap<string, CauseText> = new Map(
  Object.entries<CauseText>({
    NORMAL_CLEARING: {
      code: 16,
      title: 'Call ended',
      caller: 'One of you hung up.',
      ordinary: true,
    },
    UNALLOCATED_NUMBER: {
      code: 1,
      title: 'Nobody has that number',
      caller: 'There is no user or number with this name here. Check the destination for a typing mistake.',
    },
    NO_ROUTE_DESTINATION: {
      code: 3,
      title: 'No way there',
      caller: 'This server knows no way to reach that destination.',
    },
    USER_BUSY: {
      code: 17,
      title: 'Busy or declined',
      caller: 'The other side is busy or declined the call.',
      callee: 'The call was declined.',
    },
    NO_USER_RESPONSE: {
      code: 18,
      title: 'No reaction',
      caller: 'The other side’s device did not react. It may have just lost its network.',
    },
    NO_ANSWER: {
      code: 19,
      title: 'No answer',
      caller: 'It rang, and nobody answered in time.',
      callee: 'You did not answer in time.',
    },
    SUBSCRIBER_ABSENT: {
      code: 20,
      title: 'Not signed in',
      caller: 'The other side exists but has no device signed in right now.',
    },
    USER_NOT_REGISTERED: {
      code: 606,
      title: 'Not signed in',
      caller: 'The other side exists but has no device signed in right now.',
    },
    CALL_REJECTED: {
      code: 21,
      title: 'Not allowed to call',
      caller: 'The other side does not accept calls from you. Between accounts, the called connection must allow it.',
    },
    DESTINATION_OUT_OF_ORDER: {
      code: 27,
      title: 'Device vanished',
      caller: 'The other side’s device lost its connection before the call was answered.',
      callee: 'The caller’s device lost its connection before you answered.',
    },
    INVALID_NUMBER_FORMAT: {
      code: 28,
      title: 'Not a destination',
      caller: 'That is neither a user name, nor a SIP address, nor a phone number this server can read.',
    },
    NORMAL_TEMPORARY_FAILURE: {
      code: 41,
      title: 'Server trouble',
      caller: 'Something failed inside the server. Try again; if it stays, the server’s log says more.',
    },
    SWITCH_CONGESTION: {
      code: 42,
      title: 'Server is full',
      caller: 'The server has reached a limit and takes no more calls for the moment.',
    },
    BEARERCAPABILITY_NOTAUTH: {
      code: 57,
      title: 'Not permitted',
      caller:
        'This credential may not place that call: its connection is disabled, it was revoked, or the domain is foreign.',
    },
    INCOMPATIBLE_DESTINATION: {
      code: 88,
      title: 'No common codec',
      caller: 'The two sides share no audio codec that both of their connections allow.',
    },
    RECOVERY_ON_TIMER_EXPIRE: {
      code: 102,
      title: 'Connection lost',
      caller: 'One side was unreachable for too long, and the server ended the call.',
    },
    ORIGINATOR_CANCEL: {
      code: 487,
      title: 'Caller hung up',
      caller: 'The call was cancelled before it was answered.',
      callee: 'The caller hung up before you answered.',
      ordinary: true,
    },
    LOSE_RACE: {
      code: 502,
      title: 'Answered elsewhere',
      caller: 'Another device answered first.',
      callee: 'Another of your devices answered this call.',
      ordinary: true,
    },
  }),
);

/** Names of the causes that have a text of their own. */
export const KNOWN_CAUSES: readonly string[] = [...CAUSES.keys()];

/** Explains a cause; an unknown one keeps its name and code and gets an honest general sentence. */
export function explainCause(name: string | null, code: number | null, direction: Direction): Explanation {
  const known = name === null ? undefined : CAUSES.get(name);
  if (name !== null && known !== undefined) {
    return {
      name,
      code: code ?? known.code,
      title: known.title,
      sentence: direction === 'inbound' ? (known.callee ?? known.caller) : known.caller,
      failed: known.ordinary !== true,
    };
  }
  return {
    name: name ?? 'UNKNOWN',
    code,
    title: 'Call ended',
    sentence: 'The server gave a reason that this page has no words for. Its name and code are below.',
    failed: true,
  };
}

/**
 * Explains a call that this side ended itself, with the cause that the server tells the other side.
 *
 * The SDK fills in `USER_BUSY` for every call that ends unanswered, cancelled ones too.
 */
export function explainOwnHangup(direction: Direction, answered: boolean): Explanation {
  const own = (cause: string, sentence: string): Explanation => ({
    name: cause,
    code: CAUSES.get(cause)?.code ?? null,
    title: 'Call ended',
    sentence,
    failed: false,
  });
  if (answered) return own('NORMAL_CLEARING', 'You hung up.');
  return direction === 'inbound'
    ? own('USER_BUSY', 'You declined the call.')
    : own('ORIGINATOR_CANCEL', 'You cancelled the call before it was answered.');
}
