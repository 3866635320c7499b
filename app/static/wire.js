/** Calls to the server: one kind of error, patience with a lost connection, and never two calls where one will do. */

const POLL_MS = 300;
const PATIENCE_MS = [600, 1500, 4000]; // a server that starts again needs some seconds
const BUSY_MS = 1000;

export class WireError extends Error {
  /** @param {'gone' | 'bad' | 'busy' | 'lost'} kind  lost: no answer came @param {string} message */
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

/**
 * @typedef {(name: string, args: object) => Promise<any>} Call
 * @typedef {{call: Call, patiently: Call}} Wire
 * @param {Record<string, (args: object) => Promise<any>>} server
 * @param {() => void} onRetry  the connection is lost and tried again
 * @returns {Wire}
 */
export function makeWire(server, onRetry) {
  const visitor = newTicket(); // the server shares its time among visitors; a page is one

  /** @type {Call} */
  async function call(name, args) {
    let answer;
    try {
      answer = await server[name](signed(args, visitor));
    } catch {
      answer = null;
    }
    // Gradio's client writes a failed request to the console and hands back undefined
    if (answer === null || answer === undefined) throw new WireError('lost', 'The server cannot be reached.');
    if (answer.error) throw new WireError(answer.error.kind, answer.error.message);
    return answer;
  }

  /** As call, but a lost connection is tried again a few times. @type {Call} */
  async function patiently(name, args) {
    for (const pause of PATIENCE_MS) {
      try {
        return await call(name, args);
      } catch (error) {
        if (error.kind !== 'lost') throw error;
        onRetry();
        await sleep(pause);
      }
    }
    return call(name, args);
  }

  return { call, patiently };
}

/** With whom it comes from; in a form (a file and its fields) that is one of the fields. */
const signed = (args, visitor) => (args.binary ? { ...args, data: { ...args.data, visitor } } : { ...args, visitor });

/**
 * A server that has too much to do is asked once more.
 * @template T
 * @param {() => Promise<T>} ask
 * @returns {Promise<T>}
 */
export async function evenIfBusy(ask) {
  try {
    return await ask();
  } catch (error) {
    if (error.kind !== 'busy') throw error;
    await sleep(BUSY_MS);
    return ask();
  }
}

/**
 * One job at a time; of those given meanwhile only the newest follows.
 * @template T
 * @param {(job: T) => Promise<void>} work
 * @returns {(job: T) => Promise<void>}
 */
export function newestOnly(work) {
  let working = false;
  /** @type {{job: T} | null} */
  let next = null;
  return async (job) => {
    next = { job };
    if (working) return;
    working = true;
    try {
      while (next) {
        const { job: newest } = next;
        next = null;
        await work(newest);
      }
    } finally {
      working = false;
    }
  };
}

/**
 * Ask how far a long call is, until told to stop.
 * @param {Wire} wire @param {string} ticket
 * @param {(progress: {state: string, ahead: number, share: number | null}) => void} show
 * @returns {() => void} stop
 */
export function followProgress(wire, ticket, show) {
  let following = true;
  (async () => {
    while (following) {
      await sleep(POLL_MS);
      const progress = following && (await wire.call('progress', { ticket }).catch(() => null));
      if (following && progress) show(progress);
    }
  })();
  return () => {
    following = false;
  };
}

/** For a call that has not begun. @param {number} ahead  how many others come first */
export const waitingText = (ahead) => (ahead > 0 ? `Waiting, ${ahead} ahead` : 'Waiting');

/** A name for a long call, to ask after it or to cancel it. (crypto.randomUUID is missing on plain http.) */
export const newTicket = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, '0')).join('');

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
