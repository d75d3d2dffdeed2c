// Package fastly is the part of Fastly's platform API that this program uses, in
// words of its own, over the library go-fastly.
//
// Every call takes a context and honours it. Every refusal is an *APIError, every
// answer that did not come an *UnansweredError; Uncertain tells whether a write
// may have taken effect all the same. Lists are complete: pages are followed to
// the end. Reads and writes that may be repeated are repeated after failures of
// the network and of the server; a create never is, because a lost answer would
// make two objects. When the hourly budget is spent, a call waits if the wait is
// short, and fails with the time otherwise.
//
// It promises that the token goes to the endpoint it was given for and nowhere
// else: redirects are not followed, plain HTTP is refused except on loopback, and
// what is logged is a method, a path and a status. Secrets leave this package
// encrypted to a client key whose signature was checked.
//
// It does not decide: it knows no desired state, no order of steps and no ledger.
package fastly
