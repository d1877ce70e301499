// What is open or under way on the page, beside the address: the choices of *Compare*, and the film of the training.
import type { Navigation } from './navigation.svelte'

export const toggles = $state({
  /** Whether the choices of *Compare* are open. */
  comparing: false,
  /** Whether the film of the training plays. */
  playing: false,
})

/** Show the weights of a training step, null for the best ones; a film is one step of the browser's history. */
export function showWeights({ navigation }: { navigation: Navigation }, checkpoint: number | null): void {
  navigation.continue('weights', { checkpoint })
}
