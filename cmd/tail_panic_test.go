package cmd

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/tail"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// newTailThatPanics is a live view with a bug, in the goroutine of a subscription
// or in the model, as its argument says.
func newTailThatPanics(d deps) *cobra.Command {
	return &cobra.Command{Use: "panictail", Args: cobra.ExactArgs(1), RunE: func(c *cobra.Command, args []string) error {
		o := tailOptions{topics: []string{"chat"}, transport: "auto", buffer: 10, bytes: 1 << 20}
		return runTail(c, d, o, func(tail.Service) tail.Service { return buggy{where: args[0]} })
	}}
}

type buggy struct{ where string }

func (b buggy) Follow(_ context.Context, _ tail.Subscription, fn func(client.Event) error) error {
	if b.where == "feed" {
		panic("Bearer s3cret-credential")
	}
	return fn(client.Event{Kind: client.KindRefused, Err: errors.New("no")})
}

func (buggy) Explain(string, []pubsub.Topic, error) ui.Problem { panic("Bearer s3cret-credential") }

func (buggy) Scope(pubsub.Topic) (string, bool) { return "", false }

func (buggy) Publish(context.Context, pubsub.Topic, []byte, client.PublishOptions) (client.Published, error) {
	return client.Published{}, nil
}
