package cmd

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/pubsub"
	"github.com/pubsubctl/pubsubctl/internal/token"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

func newToken(d deps) *cobra.Command {
	c := &cobra.Command{
		Use:   "token",
		Short: "Make and examine the tokens that grant access to topics",
		Example: "  pubsubctl token mint --read chat --write chat\n" +
			"  pubsubctl token inspect \"$TOKEN\"",
		Args:              argsNone,
		RunE:              showHelp,
		ValidArgsFunction: noCompletion,
		Annotations:       notes("help tokens", noJSON("prints help")),
	}
	c.AddCommand(newTokenMint(d), newTokenInspect(d), newTokenVerify(d))
	return c
}

type mintOptions struct {
	read, write, both []string
	ttl               ui.Duration
	expires           ui.When
	noExpiry          bool
	subject           string
	claims            []string
	out               string
}

func newTokenMint(d deps) *cobra.Command {
	o := mintOptions{ttl: ui.Duration(time.Hour), out: "raw"}
	c := &cobra.Command{
		Use:   "mint",
		Short: "Sign a token for the topics named",
		Long: "Sign a token with the key of the context and print it alone on stdout.\n\n" +
			"Topics match exactly: there are no wildcards. The service accepts a token for\n" +
			"15 minutes after it expires. A claim's value is read as JSON where it is JSON.",
		Example: "  pubsubctl token mint --read chat --write chat\n" +
			"  pubsubctl token mint --rw chat --ttl 7d --sub alice\n" +
			"  pubsubctl token mint --read chat --out curl",
		Args:              argsNone,
		ValidArgsFunction: noCompletion,
		Annotations:       notes("token inspect, help tokens", "the token with its topics and times"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := o.check(c); err != nil {
				return err
			}
			return runTokenMint(c, d, o)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&o.read, "read", nil, "allow subscribing to this `TOPIC`; repeat for more")
	f.StringArrayVar(&o.write, "write", nil, "allow publishing to this `TOPIC`; repeat for more")
	f.StringArrayVar(&o.both, "rw", nil, "allow both on this `TOPIC`; repeat for more")
	f.Var(&o.ttl, "ttl", "how long until the token expires")
	f.Var(&o.expires, "expires-at", "when the token expires, such as 2027-01-01T00:00:00Z or +7d")
	f.BoolVar(&o.noExpiry, "no-expiry", false, "make a token that never expires")
	f.StringVar(&o.subject, "sub", "", "`NAME` of the token's holder")
	f.StringArrayVar(&o.claims, "claim", nil, "add a claim `NAME=VALUE`; repeat for more")
	f.StringVar(&o.out, "out", o.out, "how to print it: "+strings.Join(outForms(), ", "))
	f.SortFlags = false
	defineKeyFlags(c)
	completeWords(c, "out", outForms()...)
	return c
}

// defineKeyFlags adds the flags that config.Resolve reads for a signing key.
func defineKeyFlags(c *cobra.Command) {
	c.Flags().String("key-id", "", "`ID` of the signing key, instead of the context's")
	c.Flags().String("key-secret", "", "its value: env:, keyring:, file:, cmd: or - `REF`")
}

// check judges what needs no key.
func (o *mintOptions) check(c *cobra.Command) error {
	o.read, o.write = append(o.read, o.both...), append(o.write, o.both...)
	if len(o.read)+len(o.write) == 0 {
		return ui.Problemf(ui.UsageMissingArgument, "a token without topics allows nothing").
			Try("pubsubctl token mint --read chat --write chat")
	}
	given := 0
	for _, name := range [...]string{"ttl", "expires-at", "no-expiry"} {
		if c.Flags().Changed(name) {
			given++
		}
	}
	if given > 1 {
		return ui.Problemf(ui.UsageBadFlag, "give one of --ttl, --expires-at and --no-expiry")
	}
	if !slices.Contains(outForms(), o.out) {
		return ui.Problemf(ui.UsageBadFlag, "--out takes "+strings.Join(outForms(), ", ")+", not "+quote(o.out)).
			Try("pubsubctl token mint --read chat --out curl")
	}
	return nil
}

// expiry is the moment the token expires, zero for never.
func (o *mintOptions) expiry(now time.Time) time.Time {
	switch {
	case o.noExpiry:
		return time.Time{}
	case o.expires.IsSet():
		return o.expires.At(now).Truncate(time.Second)
	}
	return now.Add(o.ttl.D()).Truncate(time.Second)
}

func runTokenMint(c *cobra.Command, d deps, o mintOptions) error {
	s, err := d.settings(c)
	if err != nil {
		return err
	}
	extra, err := extraClaims(o.claims)
	if err != nil {
		return err
	}
	id, secret, err := d.signingKey(c.Context(), s)
	if err != nil {
		return err
	}
	m := token.MintOptions{
		KeyID: id, Secret: []byte(secret), Read: o.read, Write: o.write,
		Subject: o.subject, Expires: o.expiry(d.now()), Extra: extra,
	}
	tok, err := token.Mint(m)
	if err != nil {
		return ui.Problem{Code: ui.UsageBadFlag, Err: errors.New("these flags make no token the service would take"), Why: innermost(err), Chain: err}
	}
	d.warnTopics(append(slices.Clone(o.read), o.write...), false)
	return d.printToken(c, s, o.out, tok, m)
}

// extraClaims reads the --claim flags.
func extraClaims(given []string) (map[string]any, error) {
	claims := map[string]any{}
	for _, text := range given {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, ui.Problemf(ui.UsageBadFlag, "--claim takes NAME=VALUE, not "+quote(text))
		}
		claims[name] = claimValue(name, value)
	}
	return claims, nil
}

// claimValue reads JSON where the text is JSON, but the registered text claims
// are always text: an id of digits is still an id.
func claimValue(name, text string) any {
	switch name {
	case "iss", "aud", "jti", "nonce":
		return text
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil || dec.More() {
		return text
	}
	return v
}

// warnTopics tells of names that do not do what they seem to. Only event
// streams have the other hazards, so a publish hears of wildcards only.
func (d deps) warnTopics(topics []string, streaming bool) {
	slices.Sort(topics)
	for _, t := range slices.Compact(topics) {
		if t == "" {
			d.io.Warn("the topic is empty; is a variable not set?")
		}
		for _, h := range pubsub.Topic(t).Hazards() {
			if streaming || h == pubsub.HazardWildcard {
				d.io.Warn("topic %s %s", quote(t), h)
			}
		}
	}
}

// mintedJSON is what --json prints for a new token.
type mintedJSON struct {
	Token         string    `json:"token"`
	KeyID         string    `json:"key_id"`
	Read          []string  `json:"read"`
	Write         []string  `json:"write"`
	ExpiresAt     time.Time `json:"expires_at,omitzero"`
	AcceptedUntil time.Time `json:"accepted_until,omitzero"`
}

func (d deps) printToken(c *cobra.Command, s *config.Settings, form, tok string, m token.MintOptions) error {
	if d.io.JSON {
		j := mintedJSON{Token: tok, KeyID: m.KeyID, Read: orEmpty(m.Read), Write: orEmpty(m.Write)}
		if !m.Expires.IsZero() {
			j.ExpiresAt, j.AcceptedUntil = m.Expires.UTC(), m.Expires.Add(pubsub.Grace).UTC()
		}
		return d.output().Write(c.Context(), j)
	}
	text, err := tokenOut{form: form, base: strings.TrimRight(s.URL.Text, "/"), token: tok, read: m.Read, write: m.Write}.text()
	if err != nil {
		return err
	}
	if _, err := io.WriteString(d.io.Out, text); err != nil {
		return fmt.Errorf("print token: %w", err)
	}
	if m.Expires.IsZero() {
		d.io.Note("never expires; whoever has it can use it until key %s is deleted", m.KeyID)
		return nil
	}
	d.io.Note("expires %s, accepted until %s", ui.FormatTime(m.Expires), ui.FormatTime(m.Expires.Add(pubsub.Grace)))
	return nil
}

func orEmpty(list []string) []string {
	if list == nil {
		return []string{}
	}
	return list
}
