/** The few line icons of this page. They decorate: the words beside them, or the label of their button, carry the meaning. */

import type { ReactNode } from 'react';

function Icon({ size = 20, children }: { size?: number | undefined; children: ReactNode }) {
  return (
    <svg
      width={size}
      height={size}
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.9"
      strokeLinecap="round"
      strokeLinejoin="round"
      aria-hidden="true"
      focusable="false"
    >
      {children}
    </svg>
  );
}

interface Props {
  size?: number;
}

const HANDSET =
  'M5 3.5h3.2l1.7 4.4-2.2 1.7a13 13 0 0 0 6.7 6.7l1.7-2.2 4.4 1.7V19a1.8 1.8 0 0 1-1.9 1.8C10.7 20.3 3.7 13.3 3.2 5.4A1.8 1.8 0 0 1 5 3.5z';

export const PhoneIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d={HANDSET} />
  </Icon>
);

export const HangUpIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d={HANDSET} transform="rotate(135 12 12)" />
  </Icon>
);

export const MicIcon = ({ size }: Props) => (
  <Icon size={size}>
    <rect x="9" y="3" width="6" height="11" rx="3" />
    <path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3" />
  </Icon>
);

export const MicOffIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M9 9v2a3 3 0 0 0 4.8 2.4M15 9.5V6a3 3 0 0 0-5.7-1.3M5.5 11.5a6.5 6.5 0 0 0 10.6 5M18.5 11.5c0 .7-.1 1.4-.3 2M12 18v3M4 3.5l16 17" />
  </Icon>
);

export const PauseIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M8.5 5v14M15.5 5v14" />
  </Icon>
);

export const PlayIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M8 5l11 7-11 7z" />
  </Icon>
);

export const CheckIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M5 12.5l4.5 4.5L19 7.5" />
  </Icon>
);

export const AlertIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M12 4l9 16H3zM12 10v4.5M12 17.3v.1" />
  </Icon>
);

export const InfoIcon = ({ size }: Props) => (
  <Icon size={size}>
    <circle cx="12" cy="12" r="9" />
    <path d="M12 11v5.5M12 7.6v.1" />
  </Icon>
);

export const SunIcon = ({ size }: Props) => (
  <Icon size={size}>
    <circle cx="12" cy="12" r="4" />
    <path d="M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4" />
  </Icon>
);

export const MoonIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5z" />
  </Icon>
);

export const WindowIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M13 4h7v7M20 4l-9 9M18 14v5a1 1 0 0 1-1 1H5a1 1 0 0 1-1-1V7a1 1 0 0 1 1-1h5" />
  </Icon>
);

export const BackspaceIcon = ({ size }: Props) => (
  <Icon size={size}>
    <path d="M8.5 5.5H20v13H8.5L3 12zM11.5 9.5l5 5M16.5 9.5l-5 5" />
  </Icon>
);

/** The mark of the project: a ring that trips into a line. */
export const Mark = ({ size = 28 }: Props) => (
  <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
    <rect width="32" height="32" rx="9" fill="#0b7a66" />
    <path d="M6 19c3-7 5-7 7 0s4 7 6-1 4-7 7-4" fill="none" stroke="#fff" strokeWidth="2.6" strokeLinecap="round" />
    <circle cx="26" cy="13.6" r="2.6" fill="#fff" />
  </svg>
);
