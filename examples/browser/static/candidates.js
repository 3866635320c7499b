/** A chain of prompt sets -> the three masks that a person chooses from, by the rules of app/inference.py. */

const KEPT = 32; // results, 0.75 MB each

/**
 * @typedef {{logits: Float32Array[], ious: number[], best: number}} Candidates  best: the one to show first
 * @param {import('./segmenter.js').Segmenter} segmenter
 */
export function makeCandidates(segmenter) {
  /** @type {Map<string, Candidates>} */
  const kept = new Map();

  /** Decode the last prompt set, and those before it that are not kept. @returns {Promise<Candidates>} */
  async function decodeChain(photo, chain) {
    const prompts = chain.at(-1);
    const { pick, ...asked } = prompts; // the last pick chooses among the masks and changes none
    const key = JSON.stringify([photo.token, chain.slice(0, -1), asked]);
    const old = kept.get(key);
    if (old) return old;
    let maskInput = null;
    if (chain.length > 1) {
      const before = await decodeChain(photo, chain.slice(0, -1));
      maskInput = before.logits[chain.at(-2).pick ?? before.best];
    }
    const candidates = choose(await segmenter.decode(photo, prompts, maskInput), prompts, maskInput !== null);
    kept.set(key, candidates);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    return candidates;
  }

  /** @returns {Promise<{result: Candidates, decodeMs: number}>} */
  return async (photo, chain) => {
    const started = performance.now();
    const result = await decodeChain(photo, chain);
    return { result, decodeMs: performance.now() - started };
  };
}

/**
 * A single point without a mask input may mean several objects: SAM's three masks. Else the single mask, which comes
 * first, then the two best of the three.
 * @param {{logits: Float32Array[], ious: number[]}} all  four of each
 * @returns {Candidates}
 */
function choose({ logits, ious }, { points, box }, hasMaskInput) {
  const ranked = [1, 2, 3].sort((a, b) => ious[b] - ious[a]);
  const isAmbiguous = !box && points.length === 1 && !hasMaskInput;
  const chosen = isAmbiguous ? [1, 2, 3] : [0, ...ranked.slice(0, 2)];
  return {
    logits: chosen.map((index) => logits[index]),
    ious: chosen.map((index) => ious[index]),
    best: isAmbiguous ? ranked[0] - 1 : 0,
  };
}
