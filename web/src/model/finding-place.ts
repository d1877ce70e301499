// Which finding a view shows.
import type { Finding } from '../data/findings'

/** The signal of a neuron that a view shows, and the feature over its strips. */
export interface ShownPlace {
  layer: string | undefined
  signal: string | undefined
  neuron: number | null
  feature: string | null
}

/** Return the finding about a signal of a neuron; of several, the one about the feature that is shown. */
export function findingAt(findings: readonly Finding[], shown: ShownPlace): Finding | null {
  if (shown.neuron === null) return null
  const about = findings.filter(
    ({ place }) => place.neuron === shown.neuron && place.layer === shown.layer && place.signal === shown.signal,
  )
  return about.find(({ place }) => place.feature === shown.feature) ?? about[0] ?? null
}
