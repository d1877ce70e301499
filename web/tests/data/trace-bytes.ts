import { writeTensors } from '../../engine/tensors'

/** A trace of one step in the layout of the wire, computed by an engine. */
export function traceBytes(engine: string, residual = '0'): ArrayBuffer {
  const integers = (...values: number[]): Int32Array => Int32Array.from(values)
  return writeTensors({
    metadata: { labels: '["a"]', residual, tolerance: '1e-05', holds: 'true', step: '1', unknown: '[]', engine },
    tensors: new Map([
      ['token', { shape: [1], data: integers(0) }],
      ['start', { shape: [1], data: Uint8Array.of(1) }],
      ['top_token', { shape: [1, 1], data: integers(0) }],
      ['top_probability', { shape: [1, 1], data: Float32Array.of(1) }],
      ['log_probability', { shape: [1], data: Float32Array.of(0) }],
    ]),
  })
}
