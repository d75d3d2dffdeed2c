package provision

import (
	"fmt"

	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// TokenError is a token that cannot do what it is meant for.
type TokenError struct {
	// Reason completes "the token cannot be used: ".
	Reason string
	// Operator says that it is the one that setup works with, not the one to publish
	// with.
	Operator bool
	// Err is the platform's refusal, if there was one.
	Err error
}

// Error gives the reason.
func (e *TokenError) Error() string {
	if e.Operator {
		return "the API token cannot be used: " + e.Reason
	}
	return "the publish token cannot be used: " + e.Reason
}

// Unwrap gives the refusal.
func (e *TokenError) Unwrap() error { return e.Err }

// ClashError is a service that was there before and that nobody agreed to use.
type ClashError struct {
	ID string
	// Name is set if the service was found by it.
	Name string
}

// Error names the service.
func (e *ClashError) Error() string {
	if e.Name != "" {
		return fmt.Sprintf("there is a service %q already, %s, and setup has not made it", e.Name, e.ID)
	}
	return "setup has not made service " + e.ID
}

// GoneError is a service that setup has made and that the API token cannot see.
type GoneError struct {
	ID, Name string
	Err      error
}

// Error names the service.
func (e *GoneError) Error() string {
	return fmt.Sprintf("service %s, %s, which setup has made, is not there or not in this token's account", e.Name, e.ID)
}

// Unwrap gives the platform's refusal.
func (e *GoneError) Unwrap() error { return e.Err }

// KindError is a service that cannot hold the app.
type KindError struct{ ID, Name, Type string }

// Error says why.
func (e *KindError) Error() string {
	return fmt.Sprintf("service %s is of type %s, and the Pub/Sub app runs on Compute services only", e.Name, e.Type)
}

// MissingError is something that only the caller can give.
type MissingError struct {
	Step Step
	// What is missing, in words.
	What string
	// NoService says that it is the service, which the step would change.
	NoService bool
}

// Error says what is missing.
func (e *MissingError) Error() string { return e.What }

// EntitlementError is an account that may not switch Fanout on.
type EntitlementError struct {
	ServiceID string
	Err       error
}

// Error says what stands in the way.
func (e *EntitlementError) Error() string {
	return "Fanout is not enabled for this account: " + e.Err.Error()
}

// Unwrap gives the platform's refusal.
func (e *EntitlementError) Unwrap() error { return e.Err }

// NeedTokenError is a run that cannot go on without a token to publish with.
type NeedTokenError struct{ Service fastly.Service }

// Error says what is needed.
func (e *NeedTokenError) Error() string {
	return "service " + e.Service.Name + " needs a token to publish with"
}

// Steps are what a person does to get one, a line each.
func (e *NeedTokenError) Steps() []string {
	return []string{
		"open https://manage.fastly.com/account/tokens and choose Create token",
		"type: Automation token; role: Engineer",
		"scope: purge_select, and nothing else",
		fmt.Sprintf("access: one service, %s (%s)", e.Service.Name, e.Service.ID),
		"expiration: never",
	}
}

// DomainTakenError is a domain that belongs to somebody else.
type DomainTakenError struct {
	Domain string
	Err    error
}

// Error names the domain.
func (e *DomainTakenError) Error() string {
	return "the domain " + e.Domain + " belongs to another service or customer"
}

// Unwrap gives the platform's refusal.
func (e *DomainTakenError) Unwrap() error { return e.Err }

// MovedError is a service that somebody else changed during the run.
type MovedError struct {
	// Was is the version that was active, Is the one that is now; 0 for none.
	Was, Is int
}

// Error says what happened.
func (e *MovedError) Error() string {
	if e.Is == 0 {
		return fmt.Sprintf("version %d was deactivated by somebody else during the run", e.Was)
	}
	return fmt.Sprintf("version %d was activated by somebody else during the run", e.Is)
}

// InvalidError is a version that the platform does not activate.
type InvalidError struct {
	Version int
	Reason  string
}

// Error gives the platform's reason.
func (e *InvalidError) Error() string {
	return fmt.Sprintf("the platform does not accept version %d: %s", e.Version, e.Reason)
}

// NotReadyError is an app that does not answer as it should after all was done.
type NotReadyError struct {
	URL string
	// Last is what came last.
	Last Answer
	// Why says what that means, as far as it is known.
	Why string
}

// Error says what came.
func (e *NotReadyError) Error() string { return "the app does not answer at " + e.URL + ": " + e.Why }

// Unwrap gives why nothing came, if nothing did.
func (e *NotReadyError) Unwrap() error { return e.Last.Err }

// StepError is a run that ended in a step.
type StepError struct {
	Step Step
	// Wrote says that the platform was changed by then, by this run or an earlier
	// one: part is done, and the same command goes on from there.
	Wrote bool
	Err   error
}

// Error names the step.
func (e *StepError) Error() string { return string(e.Step) + ": " + e.Err.Error() }

// Unwrap gives the cause.
func (e *StepError) Unwrap() error { return e.Err }
