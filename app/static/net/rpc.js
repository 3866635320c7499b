/** Calls to the server: one kind of error, retries over a lost connection, progress and cancelling of long calls. */

const POLL_MS = 300;
const RETRY_AFTER_MS = [600, 1500, 4000]; // a server that starts again needs some seconds
const BUSY_MS = 1000;

export class RpcError extends Error {
  /**
   * @param {'gone' | 'bad' | 'busy' | 'lost'} kind  gone: the server no longer has the photo; bad: it refuses the call;
   *   busy: it has too much to do; lost: no answer came
   * @param {string} message  for the person
   */
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}

/**
 * @typedef {(name: string, args: object) => Promise<any>} Call
 * @typedef {{call: Call, callWithRetries: Call}} Rpc
 * @param {Record<string, (args: object) => Promise<any>>} server  Gradio's functions
 * @param {() => void} onRetry  the connection is lost and will be tried again
 * @returns {Rpc}
 */
export function makeRpc(server, onRetry) {
  const visitor = newTicket(); // the server shares its time among visitors; each page is one

  /** @type {Call} */
  async function call(name, args) {
    let answer;
    try {
      answer = await server[name](withVisitor(args, visitor));
    } catch {
      answer = null;
    }
    // Gradio's client writes a failed request to the console and returns undefined
    if (answer === null || answer === undefined) throw new RpcError('lost', 'The server cannot be reached.');
    if (answer.error) throw new RpcError(answer.error.kind, answer.error.message);
    return answer;
  }

  /** Like call, but tries again a few times when the connection is lost. @type {Call} */
  async function callWithRetries(name, args) {
    for (const pause of RETRY_AFTER_MS) {
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

  return { call, callWithRetries };
}

/** In a form (a file and its fields) the visitor is one of the fields. */
const withVisitor = (args, visitor) =>
  args.binary ? { ...args, data: { ...args.data, visitor } } : { ...args, visitor };

/**
 * Run again, once, when the server is busy.
 * @template T
 * @param {() => Promise<T>} request
 * @returns {Promise<T>}
 */
export async function retryIfBusy(request) {
  try {
    return await request();
  } catch (error) {
    if (error.kind !== 'busy') throw error;
    await sleep(BUSY_MS);
    return request();
  }
}

/**
 * One job at a time; of the jobs that arrive meanwhile only the newest runs.
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
 * Ask again and again how far a long call is.
 * @param {Rpc} rpc @param {string} ticket
 * @param {(progress: {state: string, ahead: number, share: number | null}) => void} show
 * @returns {() => void} stop
 */
export function pollProgress(rpc, ticket, show) {
  let polling = true;
  (async () => {
    while (polling) {
      await sleep(POLL_MS);
      const progress = polling && (await rpc.call('progress', { ticket }).catch(() => null));
      if (polling && progress) show(progress);
    }
  })();
  return () => {
    polling = false;
  };
}

/** Cancel a long call, if it still runs. @param {Rpc} rpc @param {string} ticket */
export const cancelCall = (rpc, ticket) => void rpc.call('cancel', { ticket }).catch(() => {});

/** For a call that waits in the server's queue. @param {number} ahead  how many others come first */
export const waitingText = (ahead) => (ahead > 0 ? `Waiting, ${ahead} ahead` : 'Waiting');

/** A random name for a long call, to poll or cancel it. (crypto.randomUUID is missing on plain http.) */
export const newTicket = () =>
  Array.from(crypto.getRandomValues(new Uint8Array(12)), (byte) => byte.toString(16).padStart(2, '0')).join('');

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
