// What is drawn behind the text and in branches of it, where each symbol has a column of its own.
import { FIT_ZOOM } from '../data/view'
import { branchSceneOf, ghostSceneOf } from '../draw/ghost'
import type { BranchScene, GhostScene } from '../draw/scene'
import type { BranchRow, Ghost } from '../model/continuation'
import type { Picture } from '../model/picture'
import type { Explorer } from '../state/explorer.svelte'

export interface ContinuedText {
  ghost: Ghost | null
  ghostScene: GhostScene | null
  branches: readonly BranchRow[]
  branchScenes: readonly BranchScene[]
}

const NOTHING: ContinuedText = { ghost: null, ghostScene: null, branches: [], branchScenes: [] }

/** Return what the network writes, with the values of the neuron of the cursor in the branches. */
export function continuedText(explorer: Explorer, { layer }: Picture): ContinuedText {
  if (explorer.state.zoom === FIT_ZOOM) return NOTHING
  const { ghost, branches } = explorer.writing
  const signal = `${layer.name}.${explorer.shownSignal?.name ?? ''}`
  const neuron = explorer.cursor.neuron ?? 0
  return {
    ghost,
    ghostScene: ghost && ghostSceneOf(ghost),
    branches,
    branchScenes: branches.map((row) => branchSceneOf(row, signal, neuron, explorer.scales.of(neuron))),
  }
}

/** Return the number of columns that a text, its continuation and its branches take. */
export const columnsOf = ({ ghostScene, branchScenes }: ContinuedText, steps: number): number =>
  Math.max(steps + (ghostScene?.labels.length ?? 0), ...branchScenes.map(({ from, labels }) => from + labels.length))
