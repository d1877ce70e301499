// One layer over the steps of a batch, run by one of two engines.
import type { LayerRequest, LayerResult } from './drives'
import type { Change } from './interventions'
import { runPlain } from './plain'

export type EngineName = 'native' | 'plain'

/** Run one layer with its changes. */
export function runLayer(request: LayerRequest, changes: readonly Change[]): LayerResult & { engine: EngineName } {
  return { ...runPlain(request, changes), engine: 'plain' }
}
