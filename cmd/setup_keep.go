package cmd

import (
	"context"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
	"github.com/pubsubctl/pubsubctl/internal/token"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// keepKey saves the context with a new key and makes it the current one. It is
// provision.Env's KeepKey.
func (w *setupWork) keepKey(_ context.Context, r *provision.Report, k provision.Key) error {
	w.d.io.Secrets.Add(k.Value.Reveal())
	all, err := w.d.contexts() // another run may have written it meanwhile
	if err != nil {
		return err
	}
	saved := w.context(all, r)
	if w.files, err = w.d.putKey(all, w.target, saved, k); err != nil {
		return err
	}
	if err := all.Use(w.target); err != nil {
		return err
	}
	w.key, w.contexts, r.Context = k, all, w.target
	if w.files != "" {
		w.progress.Warn(w.files)
		r.Warnings = append(r.Warnings, w.files)
	}
	return nil
}

// context is what the context is to say of the service, but for the key.
func (w *setupWork) context(all *config.Contexts, r *provision.Report) config.Context {
	saved := config.Context{}
	if all.Saved(w.target) {
		saved, _ = all.Get(w.target)
	}
	if saved.ServiceID != "" && saved.ServiceID != r.ServiceID {
		saved = config.Context{Protected: saved.Protected} // of a service that was torn down
	}
	saved.URL, saved.ServiceID, saved.APIURL = r.URL, r.ServiceID, ""
	if w.account.endpoint != fastlyAPI {
		saved.APIURL = w.account.endpoint
	}
	if ref := w.account.tokenRef(); !ref.IsZero() {
		saved.APIToken = ref
	}
	return saved
}

// tokenRef is where later commands find the API token; zero if they find it
// without being told.
func (a account) tokenRef() config.Ref {
	from := a.settings.APIToken
	switch {
	case from.Origin.Level == config.FromFastly:
		return config.Ref{}
	case from.Origin.Level == config.Environment && from.Ref().IsLiteral():
		return config.ParseRef("env:" + from.Origin.Name)
	}
	return from.Ref()
}

// settle sees to it that a service that is set up has its context, even if that
// was lost or is wanted under another name. The key's value is read back from the
// service's own store.
func (w *setupWork) settle(ctx context.Context, r *provision.Report) error {
	if w.spec.Only != "" || w.key.ID != "" {
		return nil
	}
	saved, _ := w.contexts.Get(w.target)
	if saved.ServiceID == r.ServiceID && saved.Key.ID != "" {
		r.Context, r.KeyID = w.target, saved.Key.ID
		return nil
	}
	ledger, err := w.account.book.Of(r.ServiceID)
	if err != nil || ledger == nil || ledger.KeyID == "" {
		return err
	}
	k, err := provision.ReadKey(ctx, w.account.api, r.ServiceID, ledger.KeyID)
	if err != nil {
		return err
	}
	w.d.io.Note("context %s was missing and is saved again", w.target)
	r.KeyID = k.ID
	return w.keepKey(ctx, r, k)
}

// askForToken asks a person for what the app is to publish with. It is
// provision.Env's PublishToken.
func (w *setupWork) askForToken(ctx context.Context, service fastly.Service) (a provision.TokenAnswer, err error) {
	w.progress.hold()
	defer w.progress.goOn()
	say, answered := w.d.io, w.again("--publish-token", "env:PUBLISH_TOKEN")
	say.Note("service %s needs a token to publish with, good for nothing else", service.Name)
	say.Note("your Fastly login makes one; or paste one that you made")
	user, err := say.Ask(ctx, "e-mail of the login (Enter to paste a token):", answered)
	if err != nil {
		return a, err
	}
	if user == "" {
		for _, step := range (&provision.NeedTokenError{Service: service}).Steps() {
			say.Note("  %s", step)
		}
		text, err := say.AskSecret(ctx, "token, which does not show:", answered)
		return provision.TokenAnswer{Token: config.NewSecret(text)}, err
	}
	password, err := say.AskSecret(ctx, "password, which does not show:", answered)
	if err != nil || password == "" {
		return a, err
	}
	code, err := say.AskSecret(ctx, "one-time password (Enter if your account has none):", answered)
	return provision.TokenAnswer{Login: fastly.Login{User: user, Password: config.NewSecret(password), OTP: config.NewSecret(code)}}, err
}

// selfTest sends messages through the service with the key of its context. It is
// provision.Env's SelfTest.
func (w *setupWork) selfTest(ctx context.Context, r *provision.Report) (string, error) {
	sign, err := w.signer(ctx)
	if err != nil {
		return "", err
	}
	look := w.env.Look
	look.URL, look.Sign = r.URL, sign
	return look.SelfTest(ctx)
}

// signer signs tokens with the key just made, or that of the context.
func (w *setupWork) signer(ctx context.Context) (func(topic string) (string, error), error) {
	k := w.key
	if saved, ok := w.contexts.Get(w.target); k.ID == "" && ok && saved.Key.ID != "" && w.contexts.Saved(w.target) {
		value, err := w.d.secret(ctx, saved.Key.Secret)
		if err != nil {
			return nil, err
		}
		k = provision.Key{ID: saved.Key.ID, Value: config.NewSecret(value)}
	}
	if k.ID == "" {
		return nil, ui.Problemf(ui.ConfigMissingKey, "no signing key is known to test the service with").
			Because("context " + quote(w.target) + " has none").Try("pubsubctl key create --save -c " + pasteWord(w.target))
	}
	return func(topic string) (string, error) {
		return token.Mint(token.MintOptions{KeyID: k.ID, Secret: []byte(k.Value.Reveal()),
			Read: []string{topic}, Write: []string{topic}, Expires: w.d.now().Add(mintedFor)})
	}, nil
}
