package actor_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ouro-io/ouro/actor"
)

type deposit struct {
	amount int
	reply  actor.Reply[int]
}

// An account is an actor: its balance is touched by nobody else. When it fails its parent, here the system, restarts it.
func Example() {
	system, err := actor.NewSystem(actor.Config{})
	if err != nil {
		panic(err)
	}
	account, err := actor.Spawn(system, actor.Props[deposit]{
		Name: "account",
		New: func(*actor.Context[deposit]) (actor.Behavior[deposit], error) {
			balance := 0
			return func(_ *actor.Context[deposit], m deposit) error {
				if m.amount < 0 {
					return errors.New("stolen")
				}
				balance += m.amount
				m.reply.Send(balance)
				return nil
			}, nil
		},
	})
	if err != nil {
		panic(err)
	}
	pay := func(n int) {
		balance, err := actor.Ask(account, time.Minute, func(r actor.Reply[int]) deposit { return deposit{n, r} }).Await(context.Background())
		fmt.Println(balance, err)
	}
	pay(3)
	pay(4)
	_ = account.Tell(deposit{amount: -1}) // it fails, and begins anew
	pay(5)
	fmt.Println(system.Shutdown(context.Background()), system.Stats().Restarts)
	// Output:
	// 3 <nil>
	// 7 <nil>
	// 5 <nil>
	// <nil> 1
}
