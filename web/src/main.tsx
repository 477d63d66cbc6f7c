import '@mantine/core/styles.css';
import './page.css';
import { MantineProvider } from '@mantine/core';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { PhonePage } from './pages/phone/PhonePage';
import { Phone } from './telephony/phone';
import { createSdkClient, socketTap } from './telephony/sdk';
import { theme } from './theme';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no element with the id "root"');

// Without it the browser refuses the style elements that the component library makes.
const nonce = document.querySelector<HTMLMetaElement>('meta[property="csp-nonce"]')?.nonce ?? '';

const phone = new Phone(createSdkClient, socketTap);

createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => nonce}>
      <PhonePage phone={phone} />
    </MantineProvider>
  </StrictMode>,
);
