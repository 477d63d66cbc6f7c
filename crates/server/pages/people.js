// The pages that links lead to (/setup, /invitation, /reset), and /sign_in: one form, sent as JSON to /portal.

const at = (id) => document.getElementById(id);

const PAGES = {
  setup: {
    title: 'Make the first sign-in',
    words: 'You become the owner of this server. Choose a password of at least 12 characters.',
    fields: ['email', 'name', 'organization_name', 'password'],
    path: '/portal/setup',
  },
  invitation: {
    title: 'Join',
    words: 'Choose a password of at least 12 characters.',
    fields: ['name', 'password'],
    path: '/portal/invitations/accept',
  },
  password_reset: {
    title: 'Choose a new password',
    words: 'Choose a password of at least 12 characters. You are signed out everywhere else.',
    fields: ['password'],
    path: '/portal/password_resets',
  },
  sign_in: { title: 'Sign in', words: '', fields: ['email', 'password'], path: '/portal/sign_in' },
};

/** Asks the portal. Answers with the data, or throws the list of what is wrong. */
async function ask(method, path, body, csrf) {
  const headers = { 'content-type': 'application/json' };
  if (csrf) headers['x-csrf-token'] = csrf;
  const options = { method, headers, credentials: 'same-origin' };
  if (body !== undefined) options.body = JSON.stringify(body);
  const response = await fetch(path, options);
  if (response.status === 204) return null;
  const answer = await response.json();
  if (!response.ok) throw answer.errors.map((error) => error.detail);
  return answer.data;
}

function show(faults) {
  const items = (Array.isArray(faults) ? faults : ['The server cannot be reached. Try again.']).map((fault) => {
    const item = document.createElement('li');
    item.textContent = fault;
    return item;
  });
  at('faults').replaceChildren(...items);
}

function signedIn(session) {
  const { user, account } = session;
  at('form').hidden = true;
  at('title').textContent = account.organization_name;
  at('words').textContent = `Signed in as ${user.email} (${user.role}).`;
  at('done').hidden = false;
  at('key').hidden = !user.permissions.includes('manage_keys');
  at('key').onclick = async () => {
    try {
      const key = await ask('POST', '/portal/v2/api_keys', { name: user.email }, session.csrf_token);
      at('shown').textContent = `${key.api_key} – keep it now: it is not shown again.`;
    } catch (faults) {
      at('shown').textContent = String(faults);
    }
  };
  at('sign-out').onclick = async () => {
    await ask('DELETE', '/portal/session', undefined, session.csrf_token);
    location.assign('/sign_in');
  };
}

function form(page, token, known) {
  at('title').textContent = page.title;
  at('words').textContent = [known, page.words].filter(Boolean).join(' ');
  for (const label of document.querySelectorAll('[data-field]')) {
    label.hidden = !page.fields.includes(label.dataset.field);
    label.querySelector('input').disabled = label.hidden;
  }
  const password = document.querySelector('[name=password]');
  password.autocomplete = page === PAGES.sign_in ? 'current-password' : 'new-password';
  at('form').hidden = false;
  at('form').onsubmit = async (event) => {
    event.preventDefault();
    at('submit').disabled = true;
    show([]);
    const body = Object.fromEntries(new FormData(at('form')));
    if (token) body.token = token;
    try {
      signedIn(await ask('POST', page.path, body));
    } catch (faults) {
      show(faults);
    } finally {
      at('submit').disabled = false;
    }
  };
}

async function start() {
  const token = location.hash.slice(1);
  // The token goes out of the address, and so out of the history.
  if (token) history.replaceState(null, '', location.pathname);
  if (!token) {
    try {
      return signedIn(await ask('GET', '/portal/session'));
    } catch {
      return form(PAGES.sign_in);
    }
  }
  try {
    const link = await ask('POST', '/portal/links', { token });
    const whom = link.email ?? '';
    const known = link.organization_name ? `${whom} joins ${link.organization_name} as ${link.role}.` : whom;
    return form(PAGES[link.purpose], token, known);
  } catch (faults) {
    at('words').textContent = Array.isArray(faults) ? faults.join(' ') : 'The server cannot be reached. Try again.';
  }
}

await start();
