package cmd

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/ui"
)

func newRelayWait(d deps) *cobra.Command {
	timeout := ui.Duration(30 * time.Second)
	c := &cobra.Command{
		Use:   "wait",
		Short: "Wait until a relay answers",
		Long: "wait asks the address of the context, or --url, until the Pub/Sub app answers there.\n" +
			"It exits 0 when it does and 7 when the time is over.",
		Example: "  pubsubctl relay wait\n" +
			"  pubsubctl relay wait --url http://127.0.0.1:8080 --timeout 5s",
		Args:              argsNone,
		ValidArgsFunction: noCompletion,
		Annotations:       notes("relay, relay exec", noJSON("says nothing on stdout")),
		RunE: func(c *cobra.Command, _ []string) error {
			s, err := d.settings(c)
			if err != nil {
				return err
			}
			if !s.URL.IsSet() {
				return d.noURL(s)
			}
			return waitFor(c.Context(), d, s.URL.Text, timeout.D())
		},
	}
	c.Flags().Var(&timeout, "timeout", "how long to wait")
	return c
}

// pollEvery is the pause between two questions, and askLimit how long an answer
// may take: whoever holds the port and does not answer may not be who will.
const (
	pollEvery = 50 * time.Millisecond
	askLimit  = 2 * time.Second
)

func waitFor(ctx context.Context, d deps, url string, timeout time.Duration) error {
	until, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	last := errors.New("no answer")
	for {
		err := answers(until, url)
		if err == nil {
			d.io.Note("%s answers", url)
			return nil
		}
		if until.Err() == nil {
			last = err
		}
		select {
		case <-tick.C:
		case <-until.Done():
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			return ui.Problemf(ui.TimeoutNotReady, url+" did not answer within "+ui.FormatDuration(timeout)).
				Because(innermost(last)).Try("pubsubctl relay")
		}
	}
}

// answers asks the app for its greeting.
func answers(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/", nil)
	if err != nil {
		return err
	}
	req.Header.Set("User-Agent", userAgent())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, 1024))
	if resp.StatusCode != http.StatusOK || string(body) != "Hello from Fastly Pub/Sub!\n" {
		return errors.New("something else answers there: " + resp.Status)
	}
	return nil
}
