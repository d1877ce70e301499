// The runs whose line "what to look for" was closed, as this browser remembers them.
import { remember, remembered } from '../messages/remembered'

const keyOf = (run: string): string => `gatescope.question-closed.${run}`

/** Whether the question of a run was closed. */
export const isQuestionClosed = (run: string): boolean => remembered(keyOf(run)) !== null

/** Remember that the question of a run was closed. */
export const closeQuestion = (run: string): void => remember(keyOf(run), '1')
