// The messages between the page of a notebook widget and the frame around it.

/** The type of the message that a page sends when it can be shown a view. */
export const READY = 'ready'
/** The type of the messages in both directions that have a view (model/notebook-view.ts). */
export const VIEW = 'view'
