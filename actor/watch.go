package actor

// watch is a wish to be told of an actor's end. The watcher remembers it until it has handled the message, so that a restart
// takes back also what waits already.
type watch struct {
	tell func()
	gone bool // taken back; under the watcher's mu
}

// Watch has the actor told m once the other actor has ended; at once if it has already. The message does not count in the
// mailbox. unwatch takes it back, as long as it is not being handled, and so does a restart: New watches anew. An actor
// elsewhere counts as ended.
func (c *Context[M]) Watch(other Address, m M) (unwatch func()) {
	a := c.a
	w := new(watch)
	w.tell = func() { a.pushExtra(extra[M]{m, func() bool { return a.forgetWatch(w) }}) }
	target := other.address()
	a.remember(w, target)
	if target == nil || !target.watchedBy(w) {
		w.tell()
	}
	return func() {
		a.mu.Lock()
		a.forgetWatch(w)
		w.gone = true
		a.mu.Unlock()
		if target != nil {
			target.unwatch(w)
		}
	}
}

func (c *cell) remember(w *watch, target *cell) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watching == nil {
		c.watching = map[*watch]*cell{}
	}
	c.watching[w] = target
}

// forgetWatch is called when it is the message's turn, or when it is taken back, which it reports. mu is held.
func (c *cell) forgetWatch(w *watch) (gone bool) {
	delete(c.watching, w)
	return w.gone
}

// dropWatches takes all watches back.
func (c *cell) dropWatches() {
	c.mu.Lock()
	watching := c.watching
	c.watching = nil
	for w := range watching {
		w.gone = true
	}
	c.mu.Unlock()
	for w, target := range watching {
		if target != nil {
			target.unwatch(w)
		}
	}
}

// watchedBy lists w. It reports false when c has ended.
func (c *cell) watchedBy(w *watch) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.watchers == nil {
		return false
	}
	c.watchers[w] = struct{}{}
	return true
}

func (c *cell) unwatch(w *watch) {
	c.mu.Lock()
	delete(c.watchers, w)
	c.mu.Unlock()
}
