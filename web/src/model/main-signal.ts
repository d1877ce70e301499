// The signal that is shown first.
import type { Layer, Signal } from '../data/run'

/**
 * The signal to begin with: the cell state, which is the memory; where nothing ever starts afresh, the hidden state,
 * because there a few cell states grow and grow, and on one scale for all neurons the others fade beside them.
 */
export function mainSignal(layer: Layer, end: string | null): Signal | null {
  const find = (name: string): Signal | undefined => layer.signals.find((signal) => signal.name === name)
  return (end !== null && find('c')) || find('h') || layer.signals.at(-1) || null
}
