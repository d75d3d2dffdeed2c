package cmd

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"github.com/pubsubctl/pubsubctl/internal/client"
	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
	"github.com/pubsubctl/pubsubctl/internal/ui"
)

// problem explains what ended a run. Once something was changed the run is part
// done, and what comes next is the command that goes on.
func (w *setupWork) problem(err error, r *provision.Report) error {
	half, in := errors.AsType[*provision.StepError](err)
	wrote := in && half.Wrote
	if errors.Is(err, context.Canceled) && !wrote {
		return err
	}
	p := w.explain(err, r)
	if p.Next == "" {
		p.Next = w.again()
	}
	p.Chain = err
	if !wrote {
		return p
	}
	if errors.Is(err, context.Canceled) { // without its chain: it would count as a mere cancellation
		return ui.Problem{Code: ui.APIPartlyDone, Err: errors.New("interrupted at " + string(half.Step) + ", and part is done"),
			Why: "what was made is kept and noted", Next: w.again()}
	}
	p.Code, p.Err = ui.APIPartlyDone, errors.New("part is done, and then "+string(half.Step)+": "+p.Err.Error())
	return p
}

// explain finds the problem in an error.
func (w *setupWork) explain(err error, r *provision.Report) ui.Problem {
	for _, look := range [...]func(error) (ui.Problem, bool){w.explainKnown, w.explainTrouble, w.explainKeys, w.explainPackage} {
		if p, found := look(err); found {
			return p
		}
	}
	if test, is := errors.AsType[*provision.SelfTestError](err); is {
		return w.explainTest(test, r)
	}
	if e, is := errors.AsType[*client.Error](err); is {
		return w.explainClient(e, r)
	}
	return w.explainPlatform(err)
}

// explainKnown is about problems that are explained already.
func (w *setupWork) explainKnown(err error) (ui.Problem, bool) {
	if p, is := errors.AsType[ui.Problem](err); is {
		return p, true
	}
	if e, is := errors.AsType[*config.Error](err); is {
		return configProblem(e), true
	}
	if p, is := errors.AsType[ui.Problem](ledgerProblem(err)); is {
		return p, true
	}
	if e, is := errors.AsType[*fs.PathError](err); is {
		if _, program := errors.AsType[*provision.PackageError](err); !program {
			p := fileProblem(e, err)
			p.Next = "XDG_STATE_HOME=DIR " + w.again()
			return p, true
		}
	}
	return ui.Problem{}, false
}

// explainTrouble is about what package provision finds in the way.
func (w *setupWork) explainTrouble(err error) (ui.Problem, bool) {
	for e := err; e != nil; e = errors.Unwrap(e) {
		if p, found := w.explainLink(e); found {
			return p, true
		}
	}
	return ui.Problem{}, false
}

// explainLink is about one link of an error's chain.
func (w *setupWork) explainLink(link error) (ui.Problem, bool) {
	p := ui.Problem{Code: ui.APIFailed, Err: link, Next: w.again()}
	switch e := any(link).(type) { // one link: the caller goes through the chain
	case *provision.TokenError:
		p.Code, p.Why, p.Next = ui.AuthRefused, platformText(e.Err), w.withToken()
		if e.Operator {
			p.Why, p.Next = w.tokenFrom(e.Err), "pubsubctl context show --resolved"
		}
	case *provision.ClashError:
		p.Why = "nothing on this machine says that it is setup's"
		p.Next = "pubsubctl setup --adopt " + pasteWord(e.ID) + w.rest("name", "adopt", "service-id")
	case *provision.KindError:
		p.Why = "a service keeps its type for ever"
		p.Next = "pubsubctl setup --name NAME" + w.rest("name", "adopt", "service-id")
	case *provision.MissingError:
		p = w.explainMissing(e)
	case *provision.EntitlementError:
		p.Code, p.Err = ui.AuthRefused, errors.New("the account may not use Fanout")
		p.Why = platformText(e.Err) + "; Fastly's sales or support enable it, or a trial in the control panel; service " + e.ServiceID + " is kept"
	case *provision.NeedTokenError:
		p.Code, p.Why, p.Next = ui.UsageInputNotAllowed, strings.Join(e.Steps(), "; ")+"; put it into PUBLISH_TOKEN", w.withToken()
	case *provision.DomainTakenError:
		p.Why, p.Next = platformText(e.Err), "pubsubctl setup --domain DOMAIN"+w.rest("domain")
	case *provision.MovedError:
		p.Why = "a plan made anew takes it into account"
	case *provision.InvalidError:
		p.Next = w.again("--dry-run")
	case *provision.NotReadyError:
		p.Code = ui.TimeoutNotReady
	default:
		return p, false
	}
	return p, true
}

// tokenFrom says where the API token is from, after what the platform said of it.
func (w *setupWork) tokenFrom(err error) string {
	text := platformText(err)
	if text != "" {
		text += "; "
	}
	return text + "it is from " + w.account.settings.APIToken.Origin.String()
}

// platformText is what the platform said; empty if it said nothing.
func platformText(err error) string {
	if refused, is := errors.AsType[*fastly.APIError](err); is {
		return refused.Text()
	}
	return ""
}

// withToken is the command that goes on with a publish token.
func (w *setupWork) withToken() string {
	return "pubsubctl setup" + w.rest("publish-token") + " --publish-token env:PUBLISH_TOKEN"
}

// rest are the flags of this run but for some.
func (w *setupWork) rest(without ...string) string {
	return flagsGiven(w.c, append(without, quietFlags()...)...)
}

// explainMissing is about what only the caller can give.
func (w *setupWork) explainMissing(e *provision.MissingError) ui.Problem {
	p := ui.Problem{Code: ui.UsageMissingArgument, Err: e}
	switch {
	case e.NoService:
		p.Why = "step " + string(e.Step) + " changes a service that is there"
		p.Next = "pubsubctl setup" + w.rest("only")
	case e.Step == provision.StepPackage:
		p.Why = "the app is built from its source with the Fastly CLI (fastly compute build), or by --source DIR"
		p.Next = "pubsubctl setup --package FILE" + w.rest("package", "source")
	case e.Step == provision.StepPublishToken:
		p.Next = "pubsubctl setup --only secret-store" + w.rest("only")
	}
	return p
}

// explainKeys is about the signing key.
func (w *setupWork) explainKeys(err error) (ui.Problem, bool) {
	p := ui.Problem{Code: ui.ConfigIncomplete, Err: err}
	untrusted, isUntrusted := errors.AsType[*fastly.UntrustedKeyError](err)
	switch {
	case errors.Is(err, provision.ErrNoKeyStore):
		p.Err, p.Why, p.Next = errors.New("the service has no store for keys"), "no KV store is linked as keys", "pubsubctl setup --only kv-keys"+w.rest("only")
	case errors.Is(err, provision.ErrAdminRefused):
		p.Code, p.Err = ui.AuthRefused, errors.New("the app makes no signing key for these tokens")
		p.Why = "401 from /admin/keys: neither the publish token nor the API token may purge the service, or the address is not proven to be the service's"
		p.Next = w.again()
	case errors.Is(err, provision.ErrNoKey):
		p.Code, p.Err, p.Next = ui.NotFoundKey, errors.New("the signing key of the last run is gone from the service"), "pubsubctl setup --only signing-key"+w.rest("only")
	case errors.Is(err, provision.ErrPlainURL):
		p.Why, p.Next = "it is not https and leads to another machine", "pubsubctl setup --app-url https://HOST"+w.rest("app-url")
	case isUntrusted:
		p.Code, p.Err = ui.AuthRefused, untrusted
		p.Why = "the publish token was not sent; a newer pubsubctl may know a new key of Fastly's, and FASTLY_USE_API_SIGNING_KEY=1 trusts whatever key the API names"
		p.Next = "pubsubctl version"
	default:
		return p, false
	}
	return p, true
}

// explainPackage is about the package, before anything was asked of the platform.
func (w *setupWork) explainPackage(err error) (ui.Problem, bool) {
	e, is := errors.AsType[*provision.PackageError](err)
	if !is {
		return ui.Problem{}, false
	}
	p := ui.Problem{Code: ui.UsageBadFlag, Err: errors.New(e.Where + " is not a package to upload"), Why: innermost(e),
		Next: "pubsubctl setup --package FILE" + w.rest("package", "source")}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		p.Code, p.Err = ui.FilesystemRead, errors.New("cannot read "+e.Where)
	}
	return p, true
}

// explainTest is about a message that did not come back. The context is saved by
// then, so doctor can look further.
func (w *setupWork) explainTest(e *provision.SelfTestError, r *provision.Report) ui.Problem {
	p := ui.Problem{Code: ui.APICheckFailed, Err: errors.New("a message published over " + e.Way + " does not come back"), Why: innermost(e), Next: w.doctor(r)}
	if !e.Opened {
		p.Err = errors.New("cannot subscribe over " + e.Way)
	}
	if c, is := errors.AsType[*client.Error](e); is {
		p.Why = evidence(c)
		if c.Reason == "invalid_token" {
			p.Why += "; is this machine's clock right?"
		}
	}
	return p
}

// explainClient is about the app's answers to a new key.
func (w *setupWork) explainClient(e *client.Error, r *provision.Report) ui.Problem {
	p := ui.Problem{Code: ui.Code(e.Code()), Err: errors.New("the app does not take tokens of the new key"), Why: evidence(e), Next: w.doctor(r)}
	if e.Reason == "invalid_token" {
		p.Why += "; is this machine's clock right?"
	}
	return p
}

// doctor is the command that looks into it; without a context of the service it
// knows too little.
func (w *setupWork) doctor(r *provision.Report) string {
	saved, _ := w.contexts.Get(w.target)
	if r == nil || saved.ServiceID == "" || saved.ServiceID != r.ServiceID {
		return w.again()
	}
	return "pubsubctl doctor -c " + pasteWord(w.target) + flagsGiven(w.c, append(ownFlags(), "context")...)
}

// chosen are the flags by which another command finds the service of the last run.
func (w *setupWork) chosen() string {
	flags := flagsGiven(w.c, append(ownFlags(), "context", "service-id")...)
	if saved, _ := w.contexts.Get(w.target); saved.ServiceID == w.noted.ServiceID {
		return " -c " + pasteWord(w.target) + flags
	}
	return " --service-id " + pasteWord(w.noted.ServiceID) + flags
}

// explainPlatform is about the platform's refusals and the network.
func (w *setupWork) explainPlatform(err error) ui.Problem {
	p, is := errors.AsType[ui.Problem](w.account.problem(err))
	refused, answered := errors.AsType[*fastly.APIError](err)
	switch {
	case answered && refused.Path == "/sudo":
		p.Code, p.Err, p.Next = ui.AuthRefused, errors.New("the login is not accepted"), w.again()
	case !is:
		p = asProblem(err)
	case fastly.NotFound(err) && w.noted != nil && w.noted.ServiceID != "" && strings.Contains(refused.Path, w.noted.ServiceID):
		p.Err = errors.New("service " + quote(w.noted.ServiceName) + ", which setup made, is gone, or the API token may not see it")
		p.Next = "pubsubctl teardown" + w.chosen() // what is left of it goes, and it can be made anew
	case fastly.NotFound(err) && w.spec.ServiceID != "":
		p.Err = errors.New("there is no service " + quote(w.spec.ServiceID) + " that the API token may see")
		p.Next = "pubsubctl setup --name NAME" + w.rest("adopt", "service-id", "name")
	case fastly.Expired(err):
		p.Why = w.tokenFrom(err)
	case fastly.Unauthorized(err):
		p.Err, p.Why = errors.New("the platform does not know the API token, or it does not allow this"), w.tokenFrom(err)
	default:
		p.Next = w.again()
	}
	return p
}
