// Package provision makes a Pub/Sub service on Fastly, or what is missing of one,
// and says what there is.
//
// Observe looks, Diff compares what is there with what is wanted and gives a Plan,
// Apply carries the plan out. The first two change nothing. Apply looks again
// before each change, notes in a Ledger what it is about to make and what it has
// made, and can be ended after any request: the next run finds what the last one
// left, goes on from there, and makes nothing twice.
//
// It promises that a second run after a whole one changes nothing, that what was
// there before and is not needed for the app stays as it was, that only the ledger
// says what may be removed again, and that no secret is in a plan, a report, the
// ledger or an error. It does not ask anybody anything and prints nothing: what a
// person has to give comes in through functions of Env.
package provision
