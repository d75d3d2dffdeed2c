package provision

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/pubsubctl/pubsubctl/internal/config"
	"github.com/pubsubctl/pubsubctl/internal/provision/fastly"
)

// run is one Apply. It belongs to one goroutine.
type run struct {
	// Static.
	env  Env
	spec Spec
	plan *Plan
	is   *State // as it was when the plan was made
	led  *Ledger

	service  fastly.Service
	self     string // the name by which the service reaches itself
	draft    *draft // nil until something is to be changed
	recloned bool
	ready    bool
	wrote    bool
	token    config.Secret // to publish with; empty if this run had none in hand
	report   Report
}

// Apply carries a plan of Prepare out, step by step, and tells Env.Watch of each.
// It looks again before it changes what others may have changed, and notes in the
// ledger what it is about to make. It can be ended after any request; the same
// command goes on from there. Errors are *StepError around what went wrong; the
// report is never nil.
func Apply(ctx context.Context, env Env, spec Spec, plan *Plan) (*Report, error) {
	if env.Watch == nil {
		env.Watch = nobody{}
	}
	r := &run{env: env, spec: spec, plan: plan, is: plan.state, led: plan.ledger}
	r.self = selfDomain(plan.Domain, r.is, r.led)
	r.report = Report{Name: plan.Name, ServiceID: plan.ServiceID, Version: plan.Base, Context: r.led.Context, KeyID: r.led.KeyID, Steps: []StepReport{}}
	if s := r.is.Service; s != nil {
		r.service = *s
		r.wrote = r.begun()
	}
	r.place()
	r.led.NoMessages = !plan.Has(StepKVMessages) && (r.led.NoMessages || !spec.Messages && spec.Only == "")
	if err := r.settle(); err != nil {
		return &r.report, &StepError{StepService, r.wrote, err}
	}
	for _, step := range Steps() {
		if err := r.step(ctx, step); err != nil {
			return &r.report, err
		}
	}
	return &r.report, nil
}

// begun reports whether an earlier run has changed something and did not come to
// its end: there is no active version yet, or a draft of ours, or an intent.
func (r *run) begun() bool {
	draft := func(v fastly.Version) bool { return v.Number > r.service.Active && !v.Locked && isMarked(v) }
	return r.service.Active == 0 && r.led.knows(ObjectService, r.service.ID) ||
		len(r.led.Intents) > 0 || slices.ContainsFunc(r.service.Versions, draft)
}

// place says where the app is, in the report.
func (r *run) place() {
	r.report.Domain, r.report.URL = r.self, strings.TrimRight(r.spec.AppURL, "/")
	if r.report.URL == "" {
		r.report.URL = "https://" + r.self
	}
}

// settle notes what an earlier run made and never heard of. What that run was
// about to do when the answer got lost is known by the ledger's intent.
func (r *run) settle() error {
	if r.is.Service == nil {
		return nil
	}
	id := r.is.Service.ID
	if r.led.file == "" { // a ledger that exists keeps the name by which setup finds it
		r.led.ServiceID, r.led.ServiceName = id, r.is.Service.Name
	}
	if strings.Contains(r.is.Service.Comment, r.led.Install) && !r.led.knows(ObjectService, id) {
		r.led.ServiceID = id
		if err := r.led.done(r.is.Service.Name, Object{Kind: ObjectService, ID: id, Name: r.is.Service.Name}); err != nil {
			return err
		}
	}
	if r.is.Fanout && r.led.intends(ObjectFanout, id) {
		return r.led.done(id, Object{Kind: ObjectFanout, ID: id, Name: "Fanout"})
	}
	return nil
}

// step takes a step if the plan has something in it.
func (r *run) step(ctx context.Context, step Step) error {
	if !r.plan.Has(step) {
		if r.spec.wants(step) {
			r.end(StepReport{Step: step, Outcome: Kept})
		}
		return nil
	}
	if err := context.Cause(ctx); err != nil {
		return &StepError{step, r.wrote, err}
	}
	r.env.Watch.Begin(step)
	began := r.env.now()
	detail, err := r.take(ctx, step)
	took := r.env.now().Sub(began)
	s := StepReport{Step: step, Outcome: Done, Detail: detail, Took: took, Millis: float64(took) / float64(time.Millisecond)}
	if err != nil {
		s.Outcome, s.Detail = Failed, ""
		err = &StepError{step, r.wrote, err}
	}
	r.end(s)
	return err
}

func (r *run) end(s StepReport) {
	r.report.Steps = append(r.report.Steps, s)
	r.env.Watch.End(s)
}

func (r *run) warn(text string) {
	r.report.Warnings = append(r.report.Warnings, text)
	r.env.Watch.Warn(text)
}

func (r *run) take(ctx context.Context, step Step) (detail string, err error) {
	switch step {
	case StepService:
		return r.takeService(ctx)
	case StepFanout:
		return "on", r.takeFanout(ctx)
	case StepPackage, StepDomain, StepBackendSelf, StepBackendAPI:
		return r.edit(ctx, step)
	case StepConfigStore, StepSecretStore, StepKVKeys, StepKVMessages:
		return r.takeStore(ctx, step)
	case StepPublishToken:
		return r.takeToken(ctx)
	case StepActivate:
		return r.takeActivate(ctx)
	case StepSigningKey:
		return r.takeKey(ctx)
	}
	return r.takeTest(ctx)
}

// did notes whether a write has changed the platform, or may have.
func (r *run) did(err error) error {
	r.wrote = r.wrote || err == nil || fastly.Uncertain(err)
	return err
}

// made notes an object that was made.
func (r *run) made(kind, name, id string) error {
	if kind == ObjectService {
		r.led.ServiceID = id
	}
	return r.led.done(name, Object{Kind: kind, ID: id, Name: name})
}

// make makes something that outlives the run and whose answer may get lost. It
// notes the intent first. If there is one already, or no answer came, it looks for
// the object before it makes one; it makes at most two attempts. What turns out to
// be there although no attempt can have made it is somebody's: it is used, and stays.
func (r *run) make(ctx context.Context, kind, name string, find, create func(context.Context) (id string, err error)) (string, error) {
	ours := r.led.intends(kind, name)
	look := ours
	if err := r.led.begin(Intent{Kind: kind, Name: name}); err != nil {
		return "", err
	}
	for try := 0; ; try++ {
		if look {
			id, err := find(ctx)
			switch {
			case err != nil:
				return "", err
			case id != "" && ours:
				return id, r.made(kind, name, id)
			case id != "":
				r.led.settled(kind, name)
				return id, r.led.adopt(Object{Kind: kind, ID: id, Name: name})
			}
		}
		id, err := create(ctx)
		if r.did(err) == nil {
			return id, r.made(kind, name, id)
		}
		ours = ours || fastly.Uncertain(err)
		if look = fastly.Uncertain(err) || fastly.Exists(err); try > 0 || !look {
			if !look {
				err = r.dropIntent(kind, name, err)
			}
			return "", err
		}
	}
}

// dropIntent forgets an intent of which it is certain that nothing came.
func (r *run) dropIntent(kind, name string, err error) error {
	if failed := r.led.drop(kind, name); failed != nil {
		return failed
	}
	return err
}

// comment is the service's, with the ledger's mark.
func (r *run) comment() string { return managed + " install=" + r.led.Install }

func (r *run) takeService(ctx context.Context) (string, error) {
	if s := r.is.Service; s != nil {
		r.led.ServiceID, r.led.ServiceName = s.ID, s.Name
		return s.Name + " " + s.ID, r.adopt()
	}
	find := func(ctx context.Context) (string, error) {
		s, found, err := r.env.API.ServiceNamed(ctx, r.spec.Name)
		if err != nil || !found {
			return "", err
		}
		if !strings.Contains(s.Comment, r.led.Install) {
			return "", &ClashError{s.ID, s.Name}
		}
		return s.ID, nil
	}
	id, err := r.make(ctx, ObjectService, r.spec.Name, find, func(ctx context.Context) (string, error) {
		s, err := r.env.API.CreateService(ctx, r.spec.Name, r.comment())
		return s.ID, err
	})
	if err != nil {
		return "", err
	}
	r.service, err = r.env.API.Service(ctx, id)
	r.report.ServiceID = id
	return r.spec.Name + " " + id, err
}

// adopt notes what the service had before: it is not to be removed again.
func (r *run) adopt() error {
	s := r.is.Service
	if err := r.led.adopt(Object{Kind: ObjectService, ID: s.ID, Name: s.Name}); err != nil {
		return err
	}
	for _, link := range linkNames() {
		store, ok := r.is.Stores[link]
		if !ok {
			continue
		}
		if err := r.led.adopt(Object{Kind: storeKind(store.Kind), ID: store.ID, Name: store.Name}); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) takeFanout(ctx context.Context) error {
	id := r.service.ID
	if err := r.led.begin(Intent{Kind: ObjectFanout, Name: id}); err != nil {
		return err
	}
	err := r.did(r.env.API.EnableFanout(ctx, id))
	switch {
	case err == nil:
		return r.led.done(id, Object{Kind: ObjectFanout, ID: id, Name: "Fanout"})
	case fastly.Uncertain(err):
		return err
	case fastly.Entitlement(err):
		if _, bad := r.env.API.Self(ctx); bad == nil { // else it is the token
			err = &EntitlementError{id, err}
		}
	}
	return r.dropIntent(ObjectFanout, id, err)
}

// takeStore makes a store and its link, and sets the switches in the config store.
func (r *run) takeStore(ctx context.Context, step Step) (string, error) {
	link, kind := storeOf(step)
	store, ok := r.is.Stores[link]
	if l, linked := r.is.Link(link); !ok || !linked || l.Kind != kind {
		var err error
		if store, err = r.findOrMake(ctx, link, kind); err != nil {
			return "", err
		}
		r.is.Stores[link] = store
		if step == StepConfigStore {
			if r.is.Items, err = r.env.API.ConfigItems(ctx, store.ID); err != nil {
				return "", err
			}
		}
		if _, err := r.edit(ctx, step); err != nil {
			return "", err
		}
	}
	if step == StepConfigStore {
		if err := r.setItems(ctx, store); err != nil {
			return "", err
		}
	}
	return store.Name + ", linked as " + link, nil
}

func (r *run) findOrMake(ctx context.Context, link string, kind fastly.Kind) (fastly.Store, error) {
	if s, ok := findStore(r.is, r.led, link, kind); ok {
		s, err := r.env.API.Store(ctx, kind, s.ID)
		if err == nil {
			return s, r.led.adopt(Object{Kind: storeKind(kind), ID: s.ID, Name: s.Name})
		}
		if !fastly.NotFound(err) {
			return s, err
		}
		if err := r.led.Forget(storeKind(kind), s.ID); err != nil {
			return s, err
		}
	}
	name := r.led.storeName(link)
	if o, ok := r.led.Made(storeKind(kind), name); ok { // gone, or else it would have been found
		if err := r.led.Forget(o.Kind, o.ID); err != nil {
			return fastly.Store{}, err
		}
	}
	id, err := r.make(ctx, storeKind(kind), name, func(ctx context.Context) (string, error) {
		return storeNamed(ctx, r.env.API, kind, name)
	}, func(ctx context.Context) (string, error) {
		s, err := r.env.API.CreateStore(ctx, kind, name)
		return s.ID, err
	})
	return fastly.Store{Kind: kind, ID: id, Name: name}, err
}

func (r *run) setItems(ctx context.Context, store fastly.Store) error {
	for _, c := range itemChanges(r.is.Items, r.spec.ConfigItems) {
		var err error
		if c.want == "" {
			err = r.env.API.DeleteConfigItem(ctx, store.ID, c.name)
		} else {
			err = r.env.API.PutConfigItem(ctx, store.ID, c.name, c.want)
		}
		if r.did(err) != nil {
			return err
		}
	}
	return nil
}
