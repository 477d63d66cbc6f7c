//! People, their sessions, and the links they come by; on either engine.

#![expect(clippy::unwrap_used, reason = "what a test prepares must succeed")]

mod support;

use ringtrip_model::{
    Account, FieldErrorKind, Generator, HashedPassword, HashedToken, INVITATION_LIFETIME,
    MAX_SESSIONS, NewAccount, NewInvitation, NewUser, PASSWORD_RESET_LIFETIME, PlainPassword,
    PlainToken, PortalSession, PortalSessionId, Role, SESSION_IDLE, Timestamp, User, UserId,
};
use ringtrip_store::{NewPortalSession, OneTimeLink, Page, SignedIn, StoreError};
use support::{NOW, World, after, fault};

const FIRST: Page = Page {
    number: 1,
    size: 50,
};

/// Nothing here judges passwords, so nothing is hashed.
fn password() -> HashedPassword {
    HashedPassword::of_nobody()
}

fn token(world: &mut World) -> HashedToken {
    PlainToken::generate(&mut world.rng).hashed()
}

fn newcomer(world: &mut World, email: &str) -> (NewAccount, NewUser) {
    let account = NewAccount::new(email, "", NOW, &mut world.rng).unwrap();
    let id = account.account().id;
    let user = NewUser::new(id, email, "", Role::Owner, NOW, &mut world.rng).unwrap();
    (account, user)
}

async fn owner(world: &mut World, email: &str) -> User {
    let (account, user) = newcomer(world, email);
    let made = world.store.sign_up(account, user, password()).await;
    made.unwrap()
}

async fn member(world: &mut World, owner: &User, email: &str, role: Role) -> User {
    let (new, token) = invitation(world, owner, email, role);
    world.store.insert_invitation(new).await.unwrap();
    let nobody = NewUser::new(owner.account, email, "", role, NOW, &mut world.rng).unwrap();
    let joined = world
        .store
        .accept_invitation(token.hashed(), nobody, password(), NOW)
        .await;
    joined.unwrap().unwrap()
}

fn invitation(
    world: &mut World,
    owner: &User,
    email: &str,
    role: Role,
) -> (NewInvitation, PlainToken) {
    let (account, by) = (owner.account, Some(owner.id));
    NewInvitation::new(account, email, role, by, NOW, &mut world.rng).unwrap()
}

fn session(world: &mut World, at: Timestamp) -> NewPortalSession {
    let id = PortalSessionId::generate(&mut world.rng);
    NewPortalSession {
        session: PortalSession {
            id,
            user: UserId::from_uuid(id.as_uuid()),
            created_at: at,
            last_seen_at: at,
            source: "203.0.113.1".to_owned(),
            user_agent: "a browser".to_owned(),
        },
        token: token(world),
        device: token(world),
        replaces: None,
    }
}

async fn sign_in(world: &mut World, user: &User, at: Timestamp) -> (HashedToken, PortalSession) {
    let new = session(world, at);
    let token = new.token;
    let begun = world
        .store
        .begin_portal_session(user.id, None, new, at)
        .await;
    (token, begun.unwrap().unwrap().session)
}

async fn is_alive(world: &World, token: HashedToken, at: Timestamp) -> bool {
    let found = world.store.identify_portal_session(token, at).await;
    found.unwrap().is_some()
}

#[tokio::test]
async fn the_setup_link_makes_the_first_person_once() {
    let mut world = World::new().await;
    assert!(!world.store.has_users().await.unwrap());
    let (old, new, wrong) = (token(&mut world), token(&mut world), token(&mut world));
    for link in [old, new] {
        assert!(world.store.renew_setup_link(link).await.unwrap());
    }
    let looked_up = world.store.one_time_link(new, NOW).await.unwrap();
    assert_eq!(looked_up, Some(OneTimeLink::Setup));
    for dead in [old, wrong] {
        let (account, user) = newcomer(&mut world, "ann@example.org");
        let made = world.store.set_up(dead, account, user, password()).await;
        assert_eq!(made.unwrap(), None);
        assert_eq!(world.store.one_time_link(dead, NOW).await.unwrap(), None);
    }
    let (account, user) = newcomer(&mut world, "ann@example.org");
    let made = world.store.set_up(new, account, user, password()).await;
    let ann = made.unwrap().unwrap();
    assert_eq!(ann.role, Role::Owner);
    assert!(world.store.has_users().await.unwrap());
    let (account, user) = newcomer(&mut world, "eve@example.org");
    let again = world.store.set_up(new, account, user, password()).await;
    assert_eq!(again.unwrap(), None);
    assert!(!world.store.renew_setup_link(old).await.unwrap());
    world.reopen().await;
    let (found, _) = world
        .store
        .identify_user_email("ANN@example.org ")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found, ann);
}

#[tokio::test]
async fn of_two_who_use_the_setup_link_at_once_one_becomes_the_owner() {
    let mut world = World::new().await;
    let link = token(&mut world);
    world.store.renew_setup_link(link).await.unwrap();
    let (a, b) = (
        newcomer(&mut world, "a@example.org"),
        newcomer(&mut world, "b@example.org"),
    );
    let (a, b) = tokio::join!(
        world.store.set_up(link, a.0, a.1, password()),
        world.store.set_up(link, b.0, b.1, password()),
    );
    let made = [a.unwrap(), b.unwrap()];
    assert_eq!(made.iter().flatten().count(), 1, "{made:?}");
}

#[tokio::test]
async fn the_first_person_takes_over_the_account_that_the_operator_made_for_them() {
    let mut world = World::new().await;
    let prepared: Account = world.account("Ann@example.org").await;
    let link = token(&mut world);
    world.store.renew_setup_link(link).await.unwrap();
    let (account, user) = newcomer(&mut world, "ann@example.org");
    let made = world.store.set_up(link, account, user, password()).await;
    assert_eq!(made.unwrap().unwrap().account, prepared.id);
    assert_eq!(world.store.list_accounts().await.unwrap(), [prepared]);
}

#[tokio::test]
async fn addresses_of_people_are_unique_over_all_accounts() {
    let mut world = World::new().await;
    let ann = owner(&mut world, "ann@example.org").await;
    let bob = owner(&mut world, "bob@example.org").await;
    let (account, user) = newcomer(&mut world, "ANN@example.org");
    let refused = world.store.sign_up(account, user, password()).await;
    assert_eq!(
        fault(refused),
        (FieldErrorKind::Duplicate, "/email".to_owned())
    );
    let (new, _) = invitation(&mut world, &bob, "Ann@Example.org", Role::Admin);
    assert_eq!(
        fault(world.store.insert_invitation(new).await),
        (FieldErrorKind::Duplicate, "/email".to_owned())
    );
    assert_eq!(world.store.list_accounts().await.unwrap().len(), 2);
    let people = world.store.list_users(ann.account, FIRST).await.unwrap();
    assert_eq!((people.total, people.items), (1, vec![ann.clone()]));
    assert_eq!(
        world.store.user(bob.account, ann.id).await.unwrap(),
        None,
        "foreign"
    );
}

#[tokio::test]
async fn an_invitation_is_accepted_once_in_time_and_as_it_was_made() {
    let mut world = World::new().await;
    let ann = owner(&mut world, "ann@example.org").await;
    let bob = owner(&mut world, "bob@example.org").await;
    let (first, dead) = invitation(&mut world, &ann, "cy@example.org", Role::Admin);
    let (second, plain) = invitation(&mut world, &ann, "Cy@example.org", Role::ReadOnly);
    for new in [first, second.clone()] {
        world.store.insert_invitation(new).await.unwrap();
    }
    let open = world
        .store
        .list_invitations(ann.account, FIRST, NOW)
        .await
        .unwrap();
    assert_eq!(
        (open.total, open.items),
        (1, vec![second.invitation.clone()])
    );
    let foreign = world
        .store
        .list_invitations(bob.account, FIRST, NOW)
        .await
        .unwrap();
    assert_eq!(foreign.total, 0);

    let mut accept = async |token: HashedToken, at: Timestamp| {
        // What is said of account, address and role does not matter.
        let new = NewUser::new(
            bob.account,
            "mallory@example.org",
            "Cy",
            Role::Owner,
            at,
            &mut world.rng,
        );
        let joined = world
            .store
            .accept_invitation(token, new.unwrap(), password(), at)
            .await;
        joined.unwrap()
    };
    let late = NOW + INVITATION_LIFETIME;
    assert_eq!(accept(dead.hashed(), NOW).await, None);
    assert_eq!(accept(plain.hashed(), late).await, None);
    let cy = accept(plain.hashed(), after(1)).await.unwrap();
    assert_eq!(accept(plain.hashed(), after(2)).await, None);
    assert_eq!(
        (cy.account, cy.email.as_str(), cy.name.as_str(), cy.role),
        (ann.account, "Cy@example.org", "Cy", Role::ReadOnly)
    );
    let people = world.store.list_users(ann.account, FIRST).await.unwrap();
    assert_eq!(people.items, [ann, cy]);
}

#[tokio::test]
async fn a_revoked_invitation_is_dead_and_foreign_ones_are_out_of_reach() {
    let mut world = World::new().await;
    let ann = owner(&mut world, "ann@example.org").await;
    let bob = owner(&mut world, "bob@example.org").await;
    let (new, plain) = invitation(&mut world, &ann, "cy@example.org", Role::Owner);
    let id = new.invitation.id;
    world.store.insert_invitation(new).await.unwrap();
    let revoke = async |account, manager| world.store.delete_invitation(account, id, manager).await;
    assert_eq!(revoke(bob.account, Role::Owner).await.unwrap(), None);
    // An invitation to become an owner is an owner's matter, and a refusal leaves it.
    let refused = revoke(ann.account, Role::Admin).await;
    assert!(matches!(refused, Err(StoreError::NotAllowed)));
    let found = world.store.invitation_by_token(plain.hashed(), NOW).await;
    assert!(found.unwrap().is_some());
    assert!(revoke(ann.account, Role::Owner).await.unwrap().is_some());
    let found = world.store.invitation_by_token(plain.hashed(), NOW).await;
    assert_eq!(found.unwrap(), None);
}

#[tokio::test]
async fn a_session_opens_until_it_ends_is_silent_too_long_or_is_replaced() {
    let mut world = World::new().await;
    let ann = owner(&mut world, "ann@example.org").await;
    let bob = owner(&mut world, "bob@example.org").await;
    let (first, _) = sign_in(&mut world, &ann, NOW).await;
    let signed_in = world
        .store
        .identify_portal_session(first, NOW)
        .await
        .unwrap();
    let SignedIn { user, session: own } = signed_in.unwrap();
    assert_eq!((user.id, user.last_sign_in_at), (ann.id, Some(NOW)));
    assert_eq!((own.user, own.source.as_str()), (ann.id, "203.0.113.1"));

    let mut next = session(&mut world, NOW);
    next.replaces = Some(first);
    let second = next.token;
    world
        .store
        .begin_portal_session(ann.id, None, next, NOW)
        .await
        .unwrap();
    assert!(!is_alive(&world, first, NOW).await, "replaced");
    assert!(is_alive(&world, second, NOW).await);
    let idle = NOW + SESSION_IDLE;
    assert!(!is_alive(&world, second, idle).await);
    let listed = world.store.list_portal_sessions(ann.id, NOW).await.unwrap();
    let [listed] = listed.as_slice() else {
        panic!("{listed:?}");
    };
    world
        .store
        .touch_portal_session(listed.id, after(60))
        .await
        .unwrap();
    assert!(is_alive(&world, second, idle).await, "used meanwhile");
    let end = async |user| world.store.end_portal_session(user, listed.id).await;
    assert_eq!(end(bob.id).await.unwrap(), None, "foreign");
    assert!(end(ann.id).await.unwrap().is_some());
    assert_eq!(end(ann.id).await.unwrap(), None);
    assert!(!is_alive(&world, second, NOW).await);
}

#[tokio::test]
async fn one_session_too_many_takes_the_place_of_the_one_that_was_silent_longest() {
    let mut world = World::new().await;
    let ann = owner(&mut world, "ann@example.org").await;
    let mut tokens = Vec::new();
    for second in 0..i64::from(MAX_SESSIONS) + 2 {
        tokens.push(sign_in(&mut world, &ann, after(second)).await.0);
    }
    let now = after(100);
    let listed = world.store.list_portal_sessions(ann.id, now).await.unwrap();
    assert_eq!(listed.len(), MAX_SESSIONS as usize);
    for (index, token) in tokens.into_iter().enumerate() {
        assert_eq!(is_alive(&world, token, now).await, index >= 2, "{index}");
    }
}

#[tokio::test]
async fn browsers_are_known_by_whom_they_signed_in_until_the_password_changes() {
    let mut world = World::new().await;
    let ann = owner(&mut world, "ann@example.org").await;
    let bob = owner(&mut world, "bob@example.org").await;
    let mut new = session(&mut world, NOW);
    let device = new.device;
    let known = async |world: &World, user| world.store.is_known_device(user, device).await;
    assert!(!known(&world, ann.id).await.unwrap());
    for user in [ann.id, bob.id, ann.id] {
        new.token = token(&mut world);
        new.session.id = PortalSessionId::generate(&mut world.rng);
        let begun = world
            .store
            .begin_portal_session(user, None, new.clone(), NOW);
        assert!(begun.await.unwrap().is_some());
    }
    assert!(known(&world, ann.id).await.unwrap());
    assert!(known(&world, bob.id).await.unwrap());
    let (old, _) = sign_in(&mut world, &ann, NOW).await;
    let next = session(&mut world, NOW);
    let fresh = next.token;
    let changed = world
        .store
        .change_password(ann.id, password(), next, NOW)
        .await;
    assert!(changed.unwrap().is_some());
    assert!(!known(&world, ann.id).await.unwrap());
    assert!(known(&world, bob.id).await.unwrap());
    assert!(!is_alive(&world, old, NOW).await);
    assert!(is_alive(&world, fresh, NOW).await);
}

#[tokio::test]
async fn a_reset_link_works_once_in_time_and_ends_every_session() {
    let mut world = World::new().await;
    let ann = owner(&mut world, "ann@example.org").await;
    let (open, _) = sign_in(&mut world, &ann, NOW).await;
    let (first, second) = (token(&mut world), token(&mut world));
    let renew = async |email: &'static str, token| {
        world
            .store
            .renew_password_reset_link(email, token, NOW)
            .await
            .unwrap()
    };
    assert_eq!(renew("who@example.org", first).await, None);
    for link in [first, second] {
        let user = renew(" ANN@example.org", link).await.unwrap();
        assert_eq!(user.id, ann.id);
    }
    let late = NOW + PASSWORD_RESET_LIFETIME;
    let reset = async |token, at| world.store.reset_password(token, password(), at).await;
    assert_eq!(reset(first, NOW).await.unwrap(), None, "renewed");
    assert_eq!(reset(second, late).await.unwrap(), None);
    assert!(is_alive(&world, open, NOW).await);
    assert_eq!(
        reset(second, NOW).await.unwrap().map(|user| user.id),
        Some(ann.id)
    );
    assert_eq!(reset(second, NOW).await.unwrap(), None);
    assert!(!is_alive(&world, open, NOW).await);
}

#[tokio::test]
async fn roles_reach_as_far_as_they_reach_and_the_last_owner_stays() {
    let mut world = World::new().await;
    let ann = owner(&mut world, "ann@example.org").await;
    let admin = member(&mut world, &ann, "ad@example.org", Role::Admin).await;
    let reader = member(&mut world, &ann, "ro@example.org", Role::ReadOnly).await;
    let bob = owner(&mut world, "bob@example.org").await;
    let change = async |account, id, role, manager| {
        world
            .store
            .change_role(account, id, role, manager, after(5))
            .await
    };
    for (id, role) in [(ann.id, Role::Admin), (reader.id, Role::Owner)] {
        let refused = change(ann.account, id, role, Role::Admin).await;
        assert!(matches!(refused, Err(StoreError::NotAllowed)), "{role:?}");
    }
    let last = (FieldErrorKind::LimitReached, "/role".to_owned());
    let refused = change(ann.account, ann.id, Role::Admin, Role::Owner).await;
    assert_eq!(fault(refused), last);
    let foreign = change(bob.account, reader.id, Role::Admin, Role::Owner).await;
    assert_eq!(foreign.unwrap(), None);

    let (token, _) = sign_in(&mut world, &reader, NOW).await;
    let changed = world
        .store
        .change_role(ann.account, reader.id, Role::Owner, Role::Owner, after(5))
        .await;
    let changed = changed.unwrap().unwrap();
    assert_eq!((changed.role, changed.updated_at), (Role::Owner, after(5)));
    assert!(
        !is_alive(&world, token, NOW).await,
        "a role begins a session"
    );
    let remove = async |id, manager| world.store.delete_user(ann.account, id, manager).await;
    let refused = remove(ann.id, Role::Admin).await;
    assert!(matches!(refused, Err(StoreError::NotAllowed)));
    // Two owners by now: one may go, and then the other stays.
    assert_eq!(
        remove(ann.id, Role::Owner).await.unwrap().map(|u| u.id),
        Some(ann.id)
    );
    let refused = remove(reader.id, Role::Owner).await;
    assert_eq!(
        fault(refused),
        (FieldErrorKind::LimitReached, "/".to_owned())
    );
    assert!(remove(admin.id, Role::Admin).await.unwrap().is_some());
    assert_eq!(remove(admin.id, Role::Owner).await.unwrap(), None);
}

#[tokio::test]
async fn who_is_removed_is_signed_out_and_the_address_is_free_again() {
    let mut world = World::new().await;
    let ann = owner(&mut world, "ann@example.org").await;
    let cy = member(&mut world, &ann, "cy@example.org", Role::Developer).await;
    let (token, _) = sign_in(&mut world, &cy, NOW).await;
    let removed = world
        .store
        .delete_user(ann.account, cy.id, Role::Admin)
        .await;
    assert_eq!(
        removed.unwrap().map(|user| user.email),
        Some(cy.email.clone())
    );
    assert!(!is_alive(&world, token, NOW).await);
    let found = world.store.identify_user_email(&cy.email).await;
    assert!(found.unwrap().is_none());
    let new = session(&mut world, NOW);
    let begun = world
        .store
        .begin_portal_session(cy.id, None, new, NOW)
        .await;
    assert_eq!(begun.unwrap(), None);
    member(&mut world, &ann, "cy@example.org", Role::Admin).await;
}

#[tokio::test]
async fn what_has_ended_is_swept() {
    let mut world = World::new().await;
    let ann = owner(&mut world, "ann@example.org").await;
    let (open, _) = sign_in(&mut world, &ann, after(3600)).await;
    let (_, silent) = sign_in(&mut world, &ann, NOW).await;
    let (new, plain) = invitation(&mut world, &ann, "cy@example.org", Role::Admin);
    world.store.insert_invitation(new).await.unwrap();
    let now = NOW + SESSION_IDLE;
    world.store.sweep_people(now).await.unwrap();
    assert!(is_alive(&world, open, now).await);
    let ended = world.store.end_portal_session(ann.id, silent.id).await;
    assert_eq!(ended.unwrap(), None, "swept");
    let token = plain.hashed();
    let found = world.store.invitation_by_token(token, now).await;
    assert!(found.unwrap().is_some());
    let late = NOW + INVITATION_LIFETIME;
    world.store.sweep_people(late).await.unwrap();
    let found = world.store.invitation_by_token(token, NOW).await;
    assert_eq!(found.unwrap(), None);
}

#[tokio::test]
async fn addresses_that_nobody_can_have_are_not_looked_for() {
    let world = World::new().await;
    for email in ["", " ", "a\0b@x", &"x".repeat(5000)] {
        let found = world.store.identify_user_email(email).await;
        assert!(found.unwrap().is_none());
    }
}

#[tokio::test]
async fn whom_somebody_invited_is_not_invited_any_more_when_they_go_or_change_their_role() {
    let mut world = World::new().await;
    let ann = owner(&mut world, "ann@example.org").await;
    let admin = member(&mut world, &ann, "admin@example.org", Role::Admin).await;
    let other = member(&mut world, &ann, "other@example.org", Role::Admin).await;
    let mut tokens = Vec::new();
    for (by, email) in [
        (&ann, "kept@example.org"),
        (&admin, "back@example.org"),
        (&other, "door@example.org"),
    ] {
        let (new, token) = invitation(&mut world, by, email, Role::Admin);
        world.store.insert_invitation(new).await.unwrap();
        tokens.push(token.hashed());
    }
    let removed = world
        .store
        .delete_user(ann.account, admin.id, Role::Owner)
        .await;
    assert!(removed.unwrap().is_some());
    let role = Role::Developer;
    let changed = world
        .store
        .change_role(ann.account, other.id, role, Role::Owner, after(1))
        .await;
    assert!(changed.unwrap().is_some());
    for (token, works) in tokens.into_iter().zip([true, false, false]) {
        let found = world.store.invitation_by_token(token, after(2)).await;
        assert_eq!(found.unwrap().is_some(), works);
    }
}

#[tokio::test]
async fn a_password_that_was_right_when_it_was_judged_begins_nothing_when_it_is_another_by_now() {
    let mut world = World::new().await;
    let ann = owner(&mut world, "ann@example.org").await;
    let mut rng = Generator::from_seed([9; 32]);
    let chosen = PlainPassword::choose("/password", "seven quiet otters").unwrap();
    let next = HashedPassword::new(&chosen, &mut rng);
    let new = session(&mut world, NOW);
    let changed = world
        .store
        .change_password(ann.id, next.clone(), new, after(1));
    assert!(changed.await.unwrap().is_some());
    for (judged, begins) in [(password(), false), (next, true)] {
        let new = session(&mut world, after(2));
        let begun = world
            .store
            .begin_portal_session(ann.id, Some(judged), new, after(2));
        assert_eq!(begun.await.unwrap().is_some(), begins);
    }
}
