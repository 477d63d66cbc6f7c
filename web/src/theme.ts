import type { MantineColorsTuple } from '@mantine/core';
import { createTheme } from '@mantine/core';

/** A calm sea green; shade 8 carries white text at 5.3:1. */
const sea: MantineColorsTuple = [
  '#e6f7f4',
  '#d2ebe6',
  '#a8d7cd',
  '#7ac2b3',
  '#54b09d',
  '#3ba590',
  '#2b9f88',
  '#1a8b75',
  '#0b7a66',
  '#006856',
];

/** Greys with a little of the sea in them, so that cards, fields and buttons belong together. */
const dark: MantineColorsTuple = [
  '#d5dedf',
  '#b9c5c7',
  '#8f9da0',
  '#66757a',
  '#3d4a4e',
  '#303b3f',
  '#262f32',
  '#1c2325',
  '#171d1f',
  '#121718',
];

/** Fonts are the system's own: the page fetches nothing from elsewhere. */
export const theme = createTheme({
  primaryColor: 'sea',
  primaryShade: { light: 8, dark: 8 },
  colors: { sea, dark },
  defaultRadius: 'md',
  cursorType: 'pointer',
  fontFamily: 'ui-sans-serif, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", Cantarell, sans-serif',
  fontFamilyMonospace: 'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, "DejaVu Sans Mono", monospace',
  headings: { fontWeight: '650' },
});
