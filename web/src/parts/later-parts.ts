// Parts of the page of a network or a neuron that are loaded when they are first shown.
import { later } from '../state/later'

export const BranchLabels = later(() => import('./BranchLabels.svelte'))
export const CellTableRows = later(() => import('./CellTableRows.svelte'))
export const Completions = later(() => import('./Completions.svelte'))
export const Consequence = later(() => import('./Consequence.svelte'))
export const FactsDetails = later(() => import('./FactsDetails.svelte'))
export const FeatureMenu = later(() => import('./FeatureMenu.svelte'))
export const FindNeuron = later(() => import('./FindNeuron.svelte'))
export const HoldMenu = later(() => import('./HoldMenu.svelte'))
export const Holds = later(() => import('./Holds.svelte'))
export const PanelPeek = later(() => import('./PanelPeek.svelte'))
export const Places = later(() => import('./Places.svelte'))
export const SeriesHandles = later(() => import('./SeriesHandles.svelte'))
export const StarList = later(() => import('./StarList.svelte'))
export const TextPage = later(() => import('./TextPage.svelte'))
export const UnknownNote = later(() => import('./UnknownNote.svelte'))
export const WriteSettings = later(() => import('./WriteSettings.svelte'))
