// How much the engine reads and holds.

export const MAX_TEXT_STEPS = 20_000
/** Also of words, which may be long. */
export const MAX_TEXT_CHARACTERS = 2_000_000
export const MAX_RECORDED_BYTES = 512 << 20
/** The products of weights and steps of one piece of work: some 10 ms of the kernels. */
export const PIECE_PRODUCTS = 1 << 26
