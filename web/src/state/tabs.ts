// The pages of a run, in the order of their tabs.
import type { View } from '../data/view'
import type { Code } from '../messages/text'

export const TABS: readonly [Exclude<View, 'runs' | 'lesson' | 'playground'>, Code][] = [
  ['network', 'TAB_STRIPS'],
  ['neuron', 'TAB_NEURON'],
  ['learning', 'TAB_LEARNING'],
  ['gradient', 'TAB_GRADIENTS'],
  ['health', 'TAB_HEALTH'],
]
