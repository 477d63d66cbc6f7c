// A tenant as its developer sees it: an API key, and the official SDK to make connections and credentials with.

import { randomBytes } from 'node:crypto';
import Telnyx from 'telnyx';

/** One account of the server's summary. */
export class Tenant {
  constructor(apiBase, account) {
    this.account = account;
    this.api = new Telnyx({ apiKey: account.api_key, baseURL: apiBase });
  }

  /** Makes a credential connection; `fields` are the API's own and win over what is filled in. */
  async connection(fields = {}) {
    const tag = randomBytes(5).toString('hex');
    const { data } = await this.api.credentialConnections.create({
      connection_name: `e2e ${tag}`,
      user_name: `e${tag}`,
      password: randomBytes(12).toString('hex'),
      ...fields,
    });
    return data;
  }

  /** Makes a telephony credential under a connection. */
  async credential(connection, fields = {}) {
    const { data } = await this.api.telephonyCredentials.create({ connection_id: connection.id, ...fields });
    return data;
  }

  /** Makes an access token for a credential. */
  token(credential) {
    return this.api.telephonyCredentials.createToken(credential.id);
  }

  /** Makes a user that can log in and be called: a connection of its own, a credential and a token. */
  async user({ connection: fields, credential: more } = {}) {
    const connection = await this.connection(fields);
    const credential = await this.credential(connection, more);
    return { tenant: this, connection, credential, address: credential.sip_username, token: await this.token(credential) };
  }
}
