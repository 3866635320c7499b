/** What cannot be done, as a sentence for the person. */
export class Refusal extends Error {
  /** @param {'bad' | 'gone' | 'busy'} kind  see page/net/rpc.js @param {string} message */
  constructor(kind, message) {
    super(message);
    this.kind = kind;
  }
}
