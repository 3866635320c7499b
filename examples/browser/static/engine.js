/** What computes: onnxruntime-web on WebGPU where there is one, else on WebAssembly, with threads where they are allowed. */

import { makeAssets } from './assets.js';
import { Refusal } from './refusal.js';
import { Segmenter } from './segmenter.js';

const MODEL = ['model/encoder.onnx', 'model/decoder.onnx'];
const RUNTIMES = {
  webgpu: { module: './ort/ort.webgpu.min.mjs', files: './ort/ort-wasm-simd-threaded.asyncify' },
  wasm: { module: './ort/ort.wasm.min.mjs', files: './ort/ort-wasm-simd-threaded' },
};
const MOST_THREADS = 4; // more gain little, and a phone has two kinds of cores

/**
 * @param {any} site  site.json
 * @param {URLSearchParams} settings  engine, threads: instead of what is chosen here
 * @param {(progress: {text: string, received: number, total: number}) => void} report
 * @returns {Promise<{segmenter: Segmenter, device: string, precision: string}>}
 */
export async function loadEngine(site, settings, report) {
  const assets = makeAssets(site.files, report);
  const wanted = settings.get('engine') ?? ((await hasGpu()) ? 'webgpu' : 'wasm');
  const threads = Number(settings.get('threads')) || threadCount();
  const engine = await start(wanted, threads, site, assets, report).catch((error) => {
    if (wanted === 'wasm' || error.kind) throw error;
    return start('wasm', threads, site, assets, report); // a graphics card that lacks something
  });
  await assets.removeOld();
  return { ...engine, precision: site.precision };
}

/** Whether there is a graphics card; one that is imitated in software would be slower than WebAssembly. */
async function hasGpu() {
  const adapter = await navigator.gpu?.requestAdapter().catch(() => null);
  return Boolean(adapter) && !(adapter.info?.isFallbackAdapter ?? adapter.isFallbackAdapter);
}

const threadCount = () => (self.crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency ?? 1) : 1);

async function start(name, threads, site, assets, report) {
  if (typeof WebAssembly !== 'object')
    throw new Refusal('bad', 'This page needs WebAssembly, which this browser lacks.');
  const { module, files } = RUNTIMES[name];
  const wasmPath = `${files}.wasm`.slice(2);
  const [[encoderFile, decoderFile, wasmBinary], ort] = await Promise.all([
    assets.load([...MODEL, wasmPath]),
    import(module),
  ]);
  report({ text: 'Preparing the model', received: 1, total: 1 });
  ort.env.logLevel = 'error';
  Object.assign(ort.env.wasm, {
    wasmBinary,
    numThreads: threads,
    wasmPaths: { mjs: new URL(`${files}.mjs`, import.meta.url).href },
  });
  const options = { executionProviders: [name] };
  const encoder = await ort.InferenceSession.create(encoderFile, options);
  const decoder = await ort.InferenceSession.create(decoderFile, options);
  const device = name === 'webgpu' ? 'WebGPU' : `WebAssembly, ${threads} thread${threads > 1 ? 's' : ''}`;
  return { segmenter: new Segmenter(ort, encoder, decoder, site.canvas), device };
}
