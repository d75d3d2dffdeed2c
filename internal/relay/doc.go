// Package relay is the service as a whole, on one machine: the data plane that
// clients talk to, the control plane beside it, the store behind them, and an
// orderly start and end.
//
// Start returns once everything listens, or with an error that names what does
// not; nothing is half started. Shutdown fails readiness, stops listening, ends
// held streams spread over half of its time and closes the store last, so that
// nothing acknowledged is lost. The package decides nothing about flags,
// terminals or exit codes.
package relay
