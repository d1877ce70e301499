// The colour scales of the rows of a comparison.
import type { Signal } from '../../data/run'
import { chooseScale, ownScale, type Scale } from '../../model/scale'
import type { Scales } from '../../state/scales.svelte'

interface PairScales {
  /** Return the scale of a row of B, whose neuron of A is `first`. */
  ofB: (first: number | null, values: Float32Array) => Scale
  /** Return the scale of a row of B - A. */
  ofChange: (values: Float32Array) => Scale
  /** The scale of all rows of B - A. */
  changes: Scale
}

/** Return the scales of a comparison: both sides of a pair have that of A if they show the same signal. */
export function pairScales(
  scales: Scales,
  signal: Signal,
  other: { signal: Signal; values: Float32Array } | null,
  changed: readonly (Float32Array | null)[],
): PairScales {
  const isSame = !other || other.signal.name === signal.name
  const range = (other?.signal ?? signal).range
  const allOfB = isSame ? scales.all : chooseScale(range, other.values)
  const changes = chooseScale([null, null], Float32Array.from(changed.flatMap((one) => Array.from(one ?? []))))
  return {
    ofB: (first, values) => {
      if (!scales.areOwn) return allOfB
      return isSame && first !== null ? scales.of(first) : ownScale(range, values)
    },
    ofChange: (values) => (scales.areOwn ? ownScale([null, null], values) : changes),
    changes,
  }
}
