package provision

import (
	"context"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// Env is what a run needs from outside.
type Env struct {
	// API is the account, Endpoint its address, and Operator the token it is used with.
	API      fastly.API
	Endpoint string
	Operator config.Secret
	// As is the account as another token sees it, to look at that token.
	As func(token config.Secret) (fastly.API, error)
	// Book has the ledgers. The caller holds its lock.
	Book *Book
	// Clock is the time between looks at the app; its zero value is the real one.
	Clock fastly.Clock
	// Look is how the app is asked; its URL is set by the run.
	Look Look
	// Watch is told what happens; nil tells nobody.
	Watch Watcher
	// PublishToken asks a person for what the app is to publish with. nil means that
	// nobody can be asked, and a run that needs one ends with *NeedTokenError.
	PublishToken func(ctx context.Context, service fastly.Service) (TokenAnswer, error)
	// KeepKey keeps a new signing key, and where the service is, for the commands
	// that use it: it saves the context. A key counts as made only after that.
	// Required.
	KeepKey func(ctx context.Context, r *Report, k Key) error
	// SelfTest sends a message through the service and waits for it; detail says by
	// which ways and how long that took. Required if Spec.Test is set.
	SelfTest func(ctx context.Context, r *Report) (detail string, err error)
}

// TokenAnswer is what a person gives for publishing: a token, or the login to
// create one with. The zero value means that the person gave up.
type TokenAnswer struct {
	Token config.Secret
	Login fastly.Login
}

// nobody is the Watcher of a run that nobody watches.
type nobody struct{}

func (nobody) Begin(Step)     {}
func (nobody) End(StepReport) {}
func (nobody) Warn(string)    {}
