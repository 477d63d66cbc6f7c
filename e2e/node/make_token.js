// Makes a connection, a credential and a token as a customer's backend would; prints them as one line of JSON.

import { Tenant } from '../harness/tenant.js';

const { summary } = JSON.parse(process.env.RINGTRIP_E2E);
const { address, token } = await new Tenant(summary.api_base, summary.accounts[0]).user();
console.log(JSON.stringify({ address, token }));
