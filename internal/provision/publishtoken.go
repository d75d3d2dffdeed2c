package provision

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// scopePublish is what a token needs to publish: whoever may purge a service may.
const scopePublish = "purge_select"

// takeToken stores what the app publishes with.
func (r *run) takeToken(ctx context.Context) (string, error) {
	store, ok := r.is.Stores[LinkSecrets]
	if !ok {
		return "", &MissingError{Step: StepPublishToken, What: "there is no secret store to keep the publish token in"}
	}
	token, made, err := r.obtain(ctx)
	if err != nil {
		return "", err
	}
	stored, err := r.env.API.PutSecret(ctx, store.ID, SecretPublishToken, token)
	if r.did(err) != nil {
		return "", err
	}
	if made.ID == "" && r.led.TokenMark == r.led.Mark(token) { // given again, but made here
		made.ID, made.Name = r.led.TokenID, r.led.TokenName
	}
	r.token = token
	r.led.Secret, r.led.TokenMark, r.led.TokenID, r.led.TokenName = stored.Digest, r.led.Mark(token), made.ID, made.Name
	if err := r.led.save(); err != nil {
		return "", err
	}
	if err := r.revokeUnused(ctx); err != nil { // of earlier runs
		return "", err
	}
	if made.ID != "" {
		return "made, encrypted and stored", nil
	}
	return "encrypted and stored", nil
}

// obtain is the token given with the command or by a person; made is set if it was
// created here.
func (r *run) obtain(ctx context.Context) (token config.Secret, made fastly.Token, err error) {
	if token = r.spec.PublishToken; token.Reveal() != "" {
		token, err = r.checked(ctx, token)
		return token, made, err
	}
	if r.env.PublishToken == nil {
		return token, made, &NeedTokenError{r.service}
	}
	answer, err := r.env.PublishToken(ctx, r.service)
	switch {
	case err != nil:
		return token, made, err
	case answer.Token.Reveal() != "":
		token, err = r.checked(ctx, answer.Token)
		return token, made, err
	case answer.Login.User == "":
		return token, made, &NeedTokenError{r.service}
	}
	made, err = r.createToken(ctx, answer.Login)
	return made.Value, made, err
}

// checked looks at a token with its own eyes before it is stored, because the
// store never gives it back.
func (r *run) checked(ctx context.Context, token config.Secret) (config.Secret, error) {
	text := strings.TrimRight(token.Reveal(), "\r\n")
	token = config.NewSecret(text)
	switch {
	case strings.ContainsAny(text, " \t\r\n"):
		return token, &TokenError{Reason: "there is white space in it"}
	case text == r.env.Operator.Reveal() && !config.OnLoopback(r.env.Endpoint):
		return token, &TokenError{Reason: "it is the API token that setup works with; the app needs one that can do less"}
	case text == r.env.Operator.Reveal():
		r.warn("the app publishes with the API token itself, which is only good for a rehearsal on this machine")
		return token, nil
	}
	api, err := r.env.As(token)
	if err != nil {
		return token, err
	}
	is, err := api.Self(ctx)
	switch {
	case fastly.Expired(err):
		return token, &TokenError{Reason: "it has expired", Err: err}
	case fastly.Unauthorized(err):
		return token, &TokenError{Reason: "the platform does not know it", Err: err}
	case err != nil:
		return token, err
	}
	return token, r.judge(is)
}

// judge refuses a token that cannot publish and warns of one that can do more than
// that, or not for long.
func (r *run) judge(t fastly.Token) error {
	now := r.env.now()
	switch {
	case !t.Can(scopePublish) && !t.Can("global"):
		return &TokenError{Reason: "its scope is " + strings.Join(t.Scopes, " ") + ", and publishing needs " + scopePublish}
	case !t.Covers(r.service.ID):
		return &TokenError{Reason: "it is limited to other services than " + r.service.ID}
	case !t.Expires.IsZero() && t.Expires.Before(now):
		return &TokenError{Reason: "it has expired"}
	}
	if !t.Expires.IsZero() {
		r.warn("the publish token expires at " + t.Expires.UTC().Format(time.RFC3339) + "; publishing stops then")
	}
	if len(t.Services) == 0 {
		r.warn("the publish token is good for every service of the account; one for this service alone is enough")
	}
	if t.Can("global") {
		r.warn("the publish token has the scope global; " + scopePublish + " is enough")
	}
	return nil
}

// tokenName makes tokens findable whose answer was lost.
func tokenName(service string) string { return "pubsubctl publish-token " + service }

// createToken makes a token for this service and nothing else, in the name of the
// account if the person may do that, or else in their own.
func (r *run) createToken(ctx context.Context, l fastly.Login) (fastly.Token, error) {
	if err := r.env.API.Sudo(ctx, l); err != nil {
		return fastly.Token{}, fmt.Errorf("the login is not accepted: %w", err)
	}
	if err := r.revokeUnused(ctx); err != nil {
		return fastly.Token{}, err
	}
	want := fastly.NewToken{Name: tokenName(r.service.ID), Scope: scopePublish, Services: []string{r.service.ID}, Automation: true}
	t, err := r.tokenOnce(ctx, want)
	if fastly.Auth(err) {
		r.warn("the account's automation tokens are for its superusers to make; this one ends with your user account")
		want.Automation = false
		t, err = r.tokenOnce(ctx, want)
	}
	if err != nil {
		return t, err
	}
	return t, r.led.done(want.Name, Object{Kind: ObjectToken, ID: t.ID, Name: want.Name})
}

// tokenOnce makes a token. One whose answer was lost can do harm and no good, so it
// is revoked before another is made.
func (r *run) tokenOnce(ctx context.Context, want fastly.NewToken) (t fastly.Token, err error) {
	for try := 0; ; try++ {
		there, err := tokensNamed(ctx, r.env.API, want.Name)
		if err != nil {
			return t, err
		}
		if err := r.led.begin(Intent{Kind: ObjectToken, Name: want.Name, Seen: there}); err != nil {
			return t, err
		}
		t, err = r.env.API.CreateToken(ctx, want)
		switch {
		case r.did(err) == nil:
			return t, nil
		case !fastly.Uncertain(err):
			return t, r.dropIntent(ObjectToken, want.Name, err)
		case try > 0:
			return t, err
		}
		if err := r.revokeUnused(ctx); err != nil {
			return t, err
		}
	}
}

// revokeUnused ends the tokens that setup made for the service and that are not the
// one in the store, among them those of which no answer told.
func (r *run) revokeUnused(ctx context.Context) error {
	var unused []Object
	for _, o := range r.led.Created {
		if o.Kind == ObjectToken && o.ID != r.led.TokenID {
			unused = append(unused, o)
		}
	}
	if i, open := r.led.intent(ObjectToken, tokenName(r.service.ID)); open {
		lost, err := lostTokens(ctx, r.env.API, i)
		if err != nil {
			return err
		}
		unused = append(unused, lost...)
	}
	for _, o := range unused {
		if err := r.did(r.env.API.RevokeToken(ctx, o.ID)); err != nil && !fastly.NotFound(err) {
			return err
		}
		if err := r.led.Forget(ObjectToken, o.ID); err != nil {
			return err
		}
	}
	if r.led.intends(ObjectToken, tokenName(r.service.ID)) {
		return r.led.drop(ObjectToken, tokenName(r.service.ID))
	}
	return nil
}
