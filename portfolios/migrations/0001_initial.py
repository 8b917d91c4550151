import django.core.validators
import django.db.models.deletion
import django.db.models.functions.text
import django.utils.timezone
import portfolios.fields
import portfolios.models.account
import portfolios.models.choices
import uuid
from decimal import Decimal
from django.conf import settings
from django.db import migrations, models


# Facts, ledger entries and what was decided are written once: the database itself refuses to change or delete them,
# whoever asks. Only what an exchange did not tell of a fill at first, its fees and its order, is let in later, once each.
APPEND_ONLY = {
    "portfolios_ledgerentry": (),
    "portfolios_fill": (("fees", "'[]'"), ("order_id", "NULL")),
    "portfolios_discrepancyevent": (),
    # The user may be deleted; the name stays.
    "portfolios_decision": (("actor_id", None),),
    # The account may go as well; its label stays.
    "portfolios_auditevent": (("actor_id", None), ("account_id", None)),
}
# What may go all the same: turns that no person decided, sign-ins, and that a program asked for a sync. `manage.py
# prune` takes away old ones.
MAY_GO = {
    "portfolios_discrepancyevent": 'OLD."decision_id" IS NULL',
    "portfolios_auditevent": "OLD.\"kind\" IN ('sign_in', 'sign_out', 'sign_in_failed', 'sync')",
}


def guard_append_only(apps, schema_editor):
    is_postgres = schema_editor.connection.vendor == "postgresql"
    if is_postgres:
        schema_editor.execute(
            "CREATE OR REPLACE FUNCTION possync_refuse() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$",
            params=None,
        )
    for table, late in APPEND_ONLY.items():
        model = apps.get_model("portfolios", table.partition("_")[2])
        columns = [field.column for field in model._meta.concrete_fields]
        allowed = _may_become(columns, dict(late), is_postgres)
        may_go = f"WHEN (NOT ({MAY_GO[table]}))" if table in MAY_GO else ""
        for action, condition in (("UPDATE", f"WHEN (NOT ({allowed}))" if late else ""), ("DELETE", may_go)):
            if is_postgres:
                body = f"FOR EACH ROW {condition} EXECUTE FUNCTION possync_refuse()"
            else:
                body = f"{condition} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            name = f"{table}_no_{action.lower()}"
            schema_editor.execute(f"CREATE TRIGGER {name} BEFORE {action} ON {table} {body}", params=None)
        if not is_postgres:
            # INSERT OR REPLACE deletes the row in the way, and asks no other trigger.
            in_the_way = " OR ".join(f"EXISTS (SELECT 1 FROM {table} WHERE {same})" for same in _sames(model))
            body = f"WHEN {in_the_way} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
            schema_editor.execute(f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} {body}", params=None)


def _sames(model):
    """Say by which columns a new row may be in the place of one that is there."""
    yield '"id" = NEW."id"'
    for each in model._meta.constraints:
        if isinstance(each, models.UniqueConstraint) and each.fields and each.condition is None:
            columns = [model._meta.get_field(name).column for name in each.fields]
            yield " AND ".join(f'"{column}" = NEW."{column}"' for column in columns)


def _may_become(columns, late, is_postgres):
    equals, cast = ("IS NOT DISTINCT FROM", "::text") if is_postgres else ("IS", "")
    terms = []
    for column in columns:
        kept = f'OLD."{column}" {equals} NEW."{column}"'
        if column in late and late[column] is None:
            continue
        if column in late:
            kept = f'({kept} OR OLD."{column}"{cast} {equals} {late[column]})'
        terms.append(kept)
    return " AND ".join(terms)


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('auth', '__first__'),
    ]

    operations = [
        migrations.CreateModel(
            name='ExchangeAccount',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('label', models.CharField(max_length=100, verbose_name='label')),
                ('market', models.CharField(help_text="The exchange's ccxt id, such as binance.", max_length=50, verbose_name='market')),
                ('endpoint', models.CharField(blank=True, help_text="Sends all requests to this base URL instead of the exchange's own.", max_length=200, verbose_name='endpoint')),
                ('sandbox', models.BooleanField(default=False, help_text="Use the exchange's test network.", verbose_name='sandbox')),
                ('wallets', models.JSONField(default=portfolios.models.account.default_wallets, verbose_name='wallets')),
                ('interval_seconds', models.PositiveIntegerField(default=300, help_text='Seconds.', validators=[django.core.validators.MinValueValidator(10), django.core.validators.MaxValueValidator(31536000)], verbose_name='interval')),
                ('cron', models.CharField(blank=True, help_text='Five fields, such as 0 8 * * 1-5; empty: by the interval.', max_length=100, verbose_name='cron')),
                ('time_zone', models.CharField(default='UTC', help_text='By whose clock the cron is meant, such as Europe/Berlin.', max_length=64, verbose_name='time zone')),
                ('lag_seconds', models.PositiveIntegerField(blank=True, help_text="Seconds by which the exchange's reads may trail its trades; empty: default. Below 5 it also says that its clock is known that exactly: 0 claims that both clocks are the same.", null=True, validators=[django.core.validators.MaxValueValidator(31536000)], verbose_name='lag')),
                ('grace_seconds', models.PositiveIntegerField(blank=True, help_text='Seconds that must lie between two looks at a difference; empty: default.', null=True, validators=[django.core.validators.MaxValueValidator(31536000)], verbose_name='grace')),
                ('paused', models.BooleanField(default=False, verbose_name='paused')),
                ('symbols', models.JSONField(blank=True, default=portfolios.models.account.no_symbols, help_text='Read besides those that the books and balances name, where the exchange lists by symbol only.', verbose_name='further symbols')),
                ('policy', models.CharField(choices=[('observe', 'Observe only'), ('standard', 'Standard')], default='standard', help_text='Observe only: facts are booked and findings shown, but no rule and no person decides anything.', max_length=8, verbose_name='policy')),
                ('lapses_by_itself', models.BooleanField(default=False, help_text='End an order that the exchange has proved not to have, once all its fills are read and nothing is locked for it; otherwise a person is asked.', verbose_name='lapse by itself')),
                ('baseline_at', models.DateTimeField(editable=False, null=True)),
                ('baseline_booked_at', models.DateTimeField(editable=False, null=True)),
                ('baseline_settled_at', models.DateTimeField(editable=False, null=True)),
                ('baseline_trades', models.PositiveIntegerField(editable=False, null=True)),
                ('baseline_last_entry', models.BigIntegerField(editable=False, null=True)),
                ('verified_at', models.DateTimeField(editable=False, null=True, verbose_name='verified')),
                ('disturbed_at', models.DateTimeField(editable=False, null=True)),
                ('read_only_because', models.CharField(blank=True, editable=False, max_length=200)),
                ('full_read_at', models.DateTimeField(editable=False, null=True)),
                ('moved_at', models.DateTimeField(editable=False, null=True)),
                ('seldom_read_at', models.DateTimeField(editable=False, null=True)),
                ('rejections', models.PositiveSmallIntegerField(default=0, editable=False)),
                ('rejected_at', models.DateTimeField(editable=False, null=True)),
                ('stay_away_until', models.DateTimeField(editable=False, null=True)),
                ('next_sync_at', models.DateTimeField(db_index=True, editable=False, null=True, verbose_name='next sync')),
                ('lease_fence', models.PositiveBigIntegerField(default=0, editable=False)),
                ('lease_expires_at', models.DateTimeField(editable=False, null=True)),
                ('connecting', models.BooleanField(default=False, editable=False)),
                ('created_at', models.DateTimeField(auto_now_add=True)),
            ],
            options={
                'verbose_name': 'exchange account',
                'verbose_name_plural': 'exchange accounts',
                'ordering': ['label'],
                'constraints': [models.UniqueConstraint(fields=('label',), name='account_label_unique'), models.CheckConstraint(condition=models.Q(('market', django.db.models.functions.text.Lower('market'))), name='account_market_is_lower_case'), models.CheckConstraint(condition=models.Q(('interval_seconds__range', (10, 31536000))), name='account_interval_from_10_s_to_a_year')],
            },
        ),
        migrations.CreateModel(
            name='HostClock',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('boot', models.CharField(max_length=64, unique=True)),
                ('began_at', models.DateTimeField()),
            ],
            options={
                'verbose_name': 'host clock',
                'verbose_name_plural': 'host clocks',
            },
        ),
        migrations.CreateModel(
            name='RateBudget',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=250, unique=True)),
                ('used_until', models.DateTimeField()),
                ('held_until', models.DateTimeField(null=True)),
            ],
            options={
                'verbose_name': 'rate budget',
                'verbose_name_plural': 'rate budgets',
            },
        ),
        migrations.CreateModel(
            name='WorkerBeat',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=50, unique=True)),
                ('beat_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='ApiToken',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, unique=True, verbose_name='name')),
                ('prefix', models.CharField(editable=False, max_length=12, verbose_name='token')),
                ('digest', models.CharField(editable=False, max_length=64, unique=True)),
                ('scopes', models.JSONField(default=list, verbose_name='scopes')),
                ('made_at', models.DateTimeField(auto_now_add=True, verbose_name='made')),
                ('last_used_at', models.DateTimeField(editable=False, null=True, verbose_name='last used')),
                ('revoked_at', models.DateTimeField(editable=False, null=True, verbose_name='revoked')),
                ('made_by', models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='made by')),
            ],
            options={
                'verbose_name': 'API token',
                'verbose_name_plural': 'API tokens',
                'ordering': ['name'],
            },
        ),
        migrations.CreateModel(
            name='Decision',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('accept_opening', 'Accept the opening'), ('rebaseline', 'Begin again from what the exchange holds'), ('claim_order', 'Give an order to a portfolio'), ('release_order', 'Take an order from a portfolio'), ('match_order', 'Take an order for one that was sent'), ('assign_flow', 'Give a movement to portfolios'), ('accept_lapse', 'Take an order as lapsed'), ('accept_bust', 'Take a fill as undone'), ('adjust', 'Book an adjustment'), ('acknowledge', 'Acknowledge'), ('dismiss', 'Dismiss'), ('reopen', 'Open again'), ('reverse', 'Take back')], max_length=16, verbose_name='what')),
                ('subject', models.CharField(max_length=200, verbose_name='about')),
                ('given', models.JSONField(default=dict, verbose_name='given')),
                ('changes', models.JSONField(default=list, verbose_name='changes')),
                ('reason', models.CharField(max_length=500, verbose_name='reason')),
                ('actor_name', models.CharField(max_length=150, verbose_name='by')),
                ('at', models.DateTimeField(auto_now_add=True, verbose_name='time')),
                ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('reverses', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='reversed_by', to='portfolios.decision', verbose_name='takes back')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='decisions', to='portfolios.exchangeaccount', verbose_name='account')),
            ],
            options={
                'verbose_name': 'decision',
                'verbose_name_plural': 'decisions',
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='AuditEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('begin', 'Connection begun'), ('connect', 'Account connected'), ('discard', 'Connection given up'), ('credential', 'Credential entered'), ('test', 'Connection tested'), ('schedule', 'Schedule changed'), ('pause', 'Account paused'), ('resume', 'Account resumed'), ('portfolio', 'Portfolio added'), ('resolve', 'Exception resolved'), ('mute', 'Exception muted'), ('unmute', 'Exception no longer muted'), ('token', 'Token made'), ('revoke', 'Token revoked'), ('book', 'Order booked by a program'), ('sync', 'Sync started by a program'), ('sign_in', 'Signed in'), ('sign_out', 'Signed out'), ('sign_in_failed', 'Sign-in failed')], max_length=16, verbose_name='what')),
                ('subject', models.CharField(blank=True, max_length=200, verbose_name='about')),
                ('detail', models.CharField(blank=True, max_length=500, verbose_name='detail')),
                ('actor_name', models.CharField(blank=True, max_length=150, verbose_name='by')),
                ('at', models.DateTimeField(auto_now_add=True, db_index=True, verbose_name='time')),
                ('actor', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='by')),
                ('account', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='portfolios.exchangeaccount', verbose_name='account')),
            ],
            options={
                'verbose_name': 'audit event',
                'verbose_name_plural': 'audit events',
                'ordering': ['-pk'],
            },
        ),
        migrations.CreateModel(
            name='Flow',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('source', models.CharField(choices=portfolios.models.choices.flow_sources, max_length=12, verbose_name='source')),
                ('external_id', models.CharField(max_length=128, verbose_name='exchange id')),
                ('kind', models.CharField(choices=portfolios.models.choices.flow_kinds, max_length=12, verbose_name='kind')),
                ('wallet', models.CharField(max_length=20, verbose_name='wallet')),
                ('asset', models.CharField(max_length=64, verbose_name='asset')),
                ('amount', portfolios.fields.AmountField(verbose_name='amount')),
                ('fees', models.JSONField(default=list, verbose_name='fees')),
                ('fees_status', models.CharField(blank=True, choices=portfolios.models.choices.flow_statuses, editable=False, max_length=8)),
                ('status', models.CharField(blank=True, choices=portfolios.models.choices.flow_statuses, max_length=8, verbose_name='status')),
                ('raw_kind', models.CharField(blank=True, editable=False, max_length=64)),
                ('raw_status', models.CharField(blank=True, editable=False, max_length=64)),
                ('occurred_at', models.DateTimeField(null=True, verbose_name='occurred')),
                ('settled_at', models.DateTimeField(null=True, verbose_name='settled')),
                ('told_at', models.DateTimeField(editable=False, null=True)),
                ('in_baseline', models.BooleanField(default=False, editable=False)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='flows', to='portfolios.exchangeaccount', verbose_name='account')),
            ],
            options={
                'verbose_name': 'flow',
                'verbose_name_plural': 'flows',
                'ordering': ['-occurred_at', '-pk'],
                'indexes': [models.Index(fields=['account', 'status'], name='flow_account_status')],
                'constraints': [models.UniqueConstraint(fields=('account', 'source', 'external_id', 'asset'), name='flow_unique_in_account')],
            },
        ),
        migrations.CreateModel(
            name='Incident',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('fingerprint', models.CharField(editable=False, max_length=64)),
                ('category', models.CharField(max_length=20, verbose_name='category')),
                ('type', models.CharField(max_length=100, verbose_name='type')),
                ('operation', models.CharField(max_length=50, verbose_name='operation')),
                ('message', models.CharField(max_length=500, verbose_name='message')),
                ('count', models.PositiveIntegerField(default=0, verbose_name='count')),
                ('first_seen', models.DateTimeField(verbose_name='first seen')),
                ('last_seen', models.DateTimeField(verbose_name='last seen')),
                ('state', models.CharField(choices=[('unresolved', 'Unresolved'), ('regressed', 'Regressed'), ('muted', 'Muted'), ('resolved', 'Resolved')], default='unresolved', max_length=10, verbose_name='state')),
                ('muted_until', models.DateTimeField(editable=False, null=True, verbose_name='muted until')),
                ('acted_by', models.CharField(blank=True, editable=False, max_length=150, verbose_name='by')),
                ('acted_at', models.DateTimeField(editable=False, null=True)),
                ('account', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='incidents', to='portfolios.exchangeaccount', verbose_name='account')),
            ],
            options={
                'verbose_name': 'incident',
                'verbose_name_plural': 'incidents',
                'ordering': ['-last_seen', '-pk'],
                'indexes': [models.Index(fields=['fingerprint'], name='incident_fingerprint')],
                'constraints': [models.UniqueConstraint(fields=('account', 'fingerprint'), name='incident_unique_in_account')],
            },
        ),
        migrations.CreateModel(
            name='JudgedContent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(max_length=64)),
                ('rows', models.JSONField()),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='judged_contents', to='portfolios.exchangeaccount')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('account', 'digest'), name='judged_content_stored_once')],
            },
        ),
        migrations.CreateModel(
            name='LegContent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('digest', models.CharField(max_length=64)),
                ('rows', portfolios.fields.PackedJSONField()),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='leg_contents', to='portfolios.exchangeaccount')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('account', 'digest'), name='leg_content_stored_once')],
            },
        ),
        migrations.CreateModel(
            name='MarketCredential',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('uuid', models.UUIDField(default=uuid.uuid4, editable=False, unique=True)),
                ('sealed', models.JSONField(default=dict, editable=False)),
                ('fingerprint', models.CharField(blank=True, editable=False, max_length=64, verbose_name='fingerprint')),
                ('state', models.CharField(choices=[('untested', 'Not tested'), ('accepted', 'Accepted'), ('rejected', 'Rejected'), ('locked', 'Cannot be opened')], default='untested', editable=False, max_length=10, verbose_name='state')),
                ('state_detail', models.CharField(blank=True, editable=False, max_length=500, verbose_name='detail')),
                ('findings', models.JSONField(default=dict, editable=False)),
                ('test_asked_at', models.DateTimeField(editable=False, null=True)),
                ('set_at', models.DateTimeField(editable=False, null=True, verbose_name='set at')),
                ('tested_at', models.DateTimeField(editable=False, null=True, verbose_name='tested at')),
                ('account', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='credential', to='portfolios.exchangeaccount', verbose_name='account')),
            ],
            options={
                'verbose_name': 'market credential',
                'verbose_name_plural': 'market credentials',
            },
        ),
        migrations.CreateModel(
            name='Order',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('external', models.BooleanField(default=False, verbose_name='external')),
                ('is_backtest', models.BooleanField(default=False, editable=False)),
                ('is_released', models.BooleanField(default=False, editable=False)),
                ('external_id', models.CharField(blank=True, max_length=128, verbose_name='exchange id')),
                ('client_order_id', models.CharField(blank=True, max_length=128, verbose_name='client id')),
                ('symbol', models.CharField(max_length=64, verbose_name='symbol')),
                ('side', models.CharField(choices=portfolios.models.choices.order_sides, max_length=4, verbose_name='side')),
                ('type', models.CharField(blank=True, choices=portfolios.models.choices.order_types, max_length=10, verbose_name='type')),
                ('status', models.CharField(choices=portfolios.models.choices.order_statuses, max_length=10, verbose_name='status')),
                ('raw_status', models.CharField(blank=True, editable=False, max_length=64)),
                ('price', portfolios.fields.AmountField(blank=True, null=True, verbose_name='price')),
                ('average', portfolios.fields.AmountField(blank=True, null=True, verbose_name='average')),
                ('amount', portfolios.fields.AmountField(verbose_name='amount')),
                ('filled', portfolios.fields.AmountField(default=Decimal('0'), verbose_name='filled')),
                ('cost', portfolios.fields.AmountField(blank=True, editable=False, null=True)),
                ('fees', models.JSONField(default=list, editable=False)),
                ('opening_filled', portfolios.fields.AmountField(default=Decimal('0'), editable=False)),
                ('opening_cost', portfolios.fields.AmountField(default=Decimal('0'), editable=False)),
                ('fills_wanted', models.PositiveSmallIntegerField(default=0, editable=False)),
                ('book_values', models.JSONField(default=dict, editable=False)),
                ('missing_since', models.DateTimeField(editable=False, null=True)),
                ('strikes', models.PositiveSmallIntegerField(default=0, editable=False)),
                ('last_strike_at', models.DateTimeField(editable=False, null=True)),
                ('frozen_because', models.CharField(blank=True, editable=False, max_length=200)),
                ('joined_at', models.DateTimeField(auto_now_add=True)),
                ('joined_after_baseline', models.BooleanField(default=False, editable=False)),
                ('created_at', models.DateTimeField(null=True, verbose_name='created')),
                ('updated_at', models.DateTimeField(null=True, verbose_name='updated')),
                ('has_final_terms', models.BooleanField(default=False, editable=False)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='orders', to='portfolios.exchangeaccount', verbose_name='account')),
            ],
            options={
                'verbose_name': 'order',
                'verbose_name_plural': 'orders',
                'ordering': ['created_at', 'pk'],
                'indexes': [models.Index(fields=['account', 'status'], name='order_account_status'), models.Index(fields=['external_id'], name='order_external_id'), models.Index(fields=['client_order_id'], name='order_client_order_id'), models.Index(fields=['account', 'fills_wanted'], name='order_account_wanted'), models.Index(fields=['account', 'symbol'], name='order_account_symbol'), models.Index(fields=['account', 'external_id'], name='order_account_external_id'), models.Index(fields=['account', 'client_order_id'], name='order_account_client_id'), models.Index(fields=['account', 'updated_at'], name='order_account_updated'), models.Index(fields=['account', '-created_at', '-id'], name='order_account_newest')],
                'constraints': [models.UniqueConstraint(condition=models.Q(models.Q(('external_id', ''), _negated=True), ('is_backtest', False)), fields=('account', 'symbol', 'external_id'), name='order_external_id_unique_in_symbol'), models.CheckConstraint(condition=models.Q(models.Q(('external_id', ''), _negated=True), models.Q(('client_order_id', ''), _negated=True), _connector='OR'), name='order_has_an_id')],
            },
        ),
        migrations.CreateModel(
            name='Fill',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('order_external_id', models.CharField(blank=True, max_length=128, verbose_name='exchange id of the order')),
                ('external_id', models.CharField(max_length=128, verbose_name='exchange id')),
                ('symbol', models.CharField(max_length=64, verbose_name='symbol')),
                ('side', models.CharField(choices=portfolios.models.choices.order_sides, max_length=4, verbose_name='side')),
                ('price', portfolios.fields.AmountField(verbose_name='price')),
                ('amount', portfolios.fields.AmountField(verbose_name='amount')),
                ('cost', portfolios.fields.AmountField(verbose_name='cost')),
                ('fees', models.JSONField(default=list, verbose_name='fees')),
                ('executed_at', models.DateTimeField(null=True, verbose_name='executed')),
                ('undoes', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='undone_by', to='portfolios.fill', verbose_name='takes back')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='fills', to='portfolios.exchangeaccount', verbose_name='account')),
                ('order', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='fills', to='portfolios.order', verbose_name='order')),
            ],
            options={
                'verbose_name': 'fill',
                'verbose_name_plural': 'fills',
                'ordering': ['executed_at', 'pk'],
                'indexes': [models.Index(fields=['account', 'executed_at'], name='fill_account_executed'), models.Index(fields=['external_id'], name='fill_external_id'), models.Index(fields=['account', 'order'], name='fill_account_order')],
                'constraints': [models.UniqueConstraint(fields=('account', 'symbol', 'side', 'external_id'), name='fill_unique_in_account')],
            },
        ),
        migrations.CreateModel(
            name='Portfolio',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=100, unique=True, verbose_name='name')),
                ('trading_symbol', models.CharField(help_text='Its cash asset, such as USDT.', max_length=64, verbose_name='trading symbol')),
                ('initial_balance', portfolios.fields.AmountField(blank=True, help_text='Cash including what its open orders lock; empty: all that is there.', null=True, verbose_name='initial balance')),
                ('mode', models.CharField(choices=[('live', 'Live'), ('backtest', 'Backtest')], default='live', max_length=10, verbose_name='mode')),
                ('initialized', models.BooleanField(default=False, editable=False, verbose_name='opened')),
                ('initialized_at', models.DateTimeField(editable=False, null=True, verbose_name='books opened')),
                ('opening_cash', portfolios.fields.AmountField(editable=False, null=True, verbose_name='opening cash')),
                ('realized_gain', portfolios.fields.AmountField(default=Decimal('0'), editable=False, verbose_name='realised gain')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='portfolios', to='portfolios.exchangeaccount', verbose_name='account')),
            ],
            options={
                'verbose_name': 'portfolio',
                'verbose_name_plural': 'portfolios',
                'ordering': ['name'],
            },
        ),
        migrations.AddField(
            model_name='order',
            name='portfolio',
            field=models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='orders', to='portfolios.portfolio', verbose_name='portfolio'),
        ),
        migrations.CreateModel(
            name='Discrepancy',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(editable=False, max_length=200)),
                ('code', models.CharField(choices=[('BALANCE_SHORT', 'Less at the exchange than in the books'), ('BALANCE_SURPLUS', 'More at the exchange than in the books'), ('BALANCE_LOCK_MISMATCH', 'Locked at the exchange is not what the orders lock'), ('BALANCE_IDENTITY_BROKEN', 'Free and used are not the total that the exchange tells'), ('BALANCE_NEGATIVE', 'Less than nothing at the exchange'), ('ORDER_EXTERNAL_AFFECTS_OWNED', 'An order of nobody locks what a portfolio owns'), ('FLOW_TRANSFER', 'A transfer that only one side records'), ('LOCAL_INTEGRITY', 'What is stored contradicts itself'), ('ALLOC_OVERCOMMITTED', 'Portfolios claim more than there is'), ('ORDER_MISSING_AT_VENUE', 'The exchange does not know the order'), ('ORDER_RETENTION_EXPIRED', 'Ended so long ago that the exchange has forgotten it'), ('ORDER_UNACKED', 'Sent, but never acknowledged'), ('ORDER_FILLS_INCOMPLETE', 'Ended, but not all fills are read'), ('ORDER_FILLED_UNKNOWN', 'Ended, but the exchange does not say how much was filled'), ('ORDER_FILL_AHEAD', 'The books have more fills than the exchange reports'), ('ORDER_OVERFILLED', 'More was filled than ordered'), ('ORDER_STATE_CONFLICT', 'Two ends that contradict each other'), ('ORDER_REGRESSION', 'Shown open again after its end'), ('ORDER_ID_CONFLICT', 'One order with the ids of two'), ('ORDER_FIELD_MISMATCH', 'Another order under the same id'), ('ORDER_RESURRECTED', 'Lapsed in the books, alive at the exchange'), ('FILL_ORPHAN', 'A fill of an order that is not known'), ('FILL_CONFLICT', 'One fill told in two ways'), ('FILL_LOCAL_ONLY', 'A fill that the exchange tells no more'), ('FILL_COVERAGE_GAP', 'Fills of some time were never read'), ('FEE_MISSING', 'A fill without its fee'), ('FLOW_PENDING', 'A deposit or withdrawal on its way'), ('FLOW_UNCLASSIFIED', 'A movement of unknown kind'), ('SNAPSHOT_IMPLAUSIBLE', 'A read too strange to be believed'), ('SNAPSHOT_PARTIAL', 'A part that cannot be read whole'), ('SNAPSHOT_STALE', 'Not proved to agree for long')], max_length=32, verbose_name='code')),
                ('severity', models.CharField(choices=[('info', 'Info'), ('notice', 'Notice'), ('warning', 'Warning'), ('error', 'Error'), ('critical', 'Critical')], max_length=10, verbose_name='severity')),
                ('state', models.CharField(choices=[('SUSPECTED', 'Suspected'), ('OPEN', 'Open'), ('ACKNOWLEDGED', 'Acknowledged'), ('RESOLVED', 'Resolved'), ('DISMISSED', 'Dismissed')], default='SUSPECTED', max_length=12, verbose_name='state')),
                ('wallet', models.CharField(blank=True, max_length=20, verbose_name='wallet')),
                ('asset', models.CharField(blank=True, max_length=64, verbose_name='asset')),
                ('symbol', models.CharField(blank=True, max_length=64, verbose_name='symbol')),
                ('book', portfolios.fields.AmountField(null=True, verbose_name='book')),
                ('exchange', portfolios.fields.AmountField(null=True, verbose_name='exchange')),
                ('difference', portfolios.fields.AmountField(null=True, verbose_name='difference')),
                ('low', portfolios.fields.AmountField(editable=False, null=True)),
                ('high', portfolios.fields.AmountField(editable=False, null=True)),
                ('stale_since', models.DateTimeField(editable=False, null=True)),
                ('confidence', models.CharField(blank=True, editable=False, max_length=16)),
                ('attribution', models.JSONField(default=dict, editable=False)),
                ('cause', models.CharField(blank=True, max_length=200, verbose_name='cause')),
                ('first_seen', models.DateTimeField(verbose_name='first seen')),
                ('last_seen', models.DateTimeField(verbose_name='last seen')),
                ('opened_at', models.DateTimeField(null=True, verbose_name='opened')),
                ('resolved_at', models.DateTimeField(null=True, verbose_name='resolved')),
                ('times_seen', models.PositiveIntegerField(default=1, verbose_name='times seen')),
                ('episode', models.PositiveIntegerField(default=1, verbose_name='episode')),
                ('acknowledged_difference', portfolios.fields.AmountField(editable=False, null=True)),
                ('acknowledged_until', models.DateTimeField(null=True, verbose_name='acknowledged until')),
                ('fingerprint', models.CharField(blank=True, editable=False, max_length=200)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='discrepancies', to='portfolios.exchangeaccount', verbose_name='account')),
                ('order', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='portfolios.order', verbose_name='order')),
                ('portfolio', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='portfolios.portfolio', verbose_name='portfolio')),
            ],
            options={
                'verbose_name': 'discrepancy',
                'verbose_name_plural': 'discrepancies',
                'ordering': ['-last_seen', '-pk'],
                'indexes': [models.Index(fields=['state', 'severity'], name='discrepancy_state_severity'), models.Index(fields=['account', 'state'], name='discrepancy_account_state')],
                'constraints': [models.UniqueConstraint(fields=('account', 'key'), name='discrepancy_unique_in_account')],
            },
        ),
        migrations.CreateModel(
            name='ClaimRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('client_prefix', 'Client id begins with'), ('symbol', 'Symbol is'), ('all', 'All orders')], max_length=13, verbose_name='kind')),
                ('value', models.CharField(blank=True, max_length=128, verbose_name='value')),
                ('created_at', models.DateTimeField(auto_now_add=True)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='claim_rules', to='portfolios.exchangeaccount', verbose_name='account')),
                ('portfolio', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='claim_rules', to='portfolios.portfolio', verbose_name='portfolio')),
            ],
            options={
                'verbose_name': 'claim rule',
                'verbose_name_plural': 'claim rules',
                'ordering': ['account', 'kind', 'value'],
                'constraints': [models.UniqueConstraint(fields=('account', 'kind', 'value'), name='claim_rule_unique_in_account'), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'all'), ('value', '')), models.Q(models.Q(('kind', 'all'), _negated=True), models.Q(('value', ''), _negated=True)), _connector='OR'), name='claim_rule_has_its_value')],
            },
        ),
        migrations.CreateModel(
            name='Position',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('asset', models.CharField(max_length=64, verbose_name='asset')),
                ('amount', portfolios.fields.AmountField(default=Decimal('0'), verbose_name='amount')),
                ('reserved', portfolios.fields.AmountField(default=Decimal('0'), verbose_name='reserved')),
                ('cost', portfolios.fields.AmountField(default=Decimal('0'), verbose_name='cost')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='positions', to='portfolios.exchangeaccount', verbose_name='account')),
                ('portfolio', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='positions', to='portfolios.portfolio', verbose_name='portfolio')),
            ],
            options={
                'verbose_name': 'position',
                'verbose_name_plural': 'positions',
                'ordering': ['asset'],
                'constraints': [models.UniqueConstraint(fields=('portfolio', 'asset'), name='position_unique_in_portfolio'), models.UniqueConstraint(condition=models.Q(('portfolio', None)), fields=('account', 'asset'), name='position_unique_in_unassigned')],
            },
        ),
        migrations.CreateModel(
            name='Quarantine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=portfolios.models.choices.leg_kinds, max_length=14)),
                ('subject', models.CharField(blank=True, max_length=128)),
                ('digest', models.CharField(max_length=64)),
                ('times_seen', models.PositiveIntegerField(default=1)),
                ('last_counted_at', models.DateTimeField()),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='quarantines', to='portfolios.exchangeaccount')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('account', 'kind', 'subject'), name='quarantine_unique')],
            },
        ),
        migrations.CreateModel(
            name='ReadCursor',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=portfolios.models.choices.leg_kinds, max_length=14, verbose_name='kind')),
                ('subject', models.CharField(blank=True, max_length=128, verbose_name='subject')),
                ('covered_until', models.DateTimeField(verbose_name='covered until')),
                ('empty_until', models.DateTimeField(editable=False, null=True)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='cursors', to='portfolios.exchangeaccount', verbose_name='account')),
            ],
            options={
                'verbose_name': 'read cursor',
                'verbose_name_plural': 'read cursors',
                'constraints': [models.UniqueConstraint(fields=('account', 'kind', 'subject'), name='cursor_unique')],
            },
        ),
        migrations.CreateModel(
            name='SignInAttempt',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('name', models.CharField(max_length=64)),
                ('address', models.CharField(blank=True, max_length=45)),
                ('is_success', models.BooleanField(default=False)),
                ('at', models.DateTimeField()),
            ],
            options={
                'verbose_name': 'sign-in attempt',
                'verbose_name_plural': 'sign-in attempts',
                'indexes': [models.Index(fields=['name', '-at'], name='sign_in_name'), models.Index(fields=['address', '-at'], name='sign_in_address'), models.Index(fields=['at'], name='sign_in_at')],
            },
        ),
        migrations.CreateModel(
            name='SyncRun',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('trigger', models.CharField(choices=[('schedule', 'Schedule'), ('manual', 'Sync now'), ('cli', 'Command line'), ('api', 'API'), ('start', 'Start-up')], max_length=10, verbose_name='trigger')),
                ('status', models.CharField(choices=[('queued', 'Queued'), ('running', 'Running'), ('succeeded', 'Succeeded'), ('partial', 'Partial'), ('failed', 'Failed'), ('lost', 'Lost')], default='queued', max_length=10, verbose_name='status')),
                ('stage', models.CharField(choices=[('waiting', 'Waiting for a worker'), ('fetching', 'Reading the exchange'), ('applying', 'Booking'), ('judging', 'Comparing'), ('done', 'Done')], default='waiting', max_length=10, verbose_name='stage')),
                ('progress_done', models.PositiveIntegerField(default=0, verbose_name='progress done')),
                ('progress_total', models.PositiveIntegerField(default=0, verbose_name='progress total')),
                ('progress_of', models.CharField(blank=True, choices=portfolios.models.choices.leg_kinds, editable=False, max_length=14)),
                ('attempts', models.PositiveSmallIntegerField(default=0, verbose_name='attempts')),
                ('fence', models.PositiveBigIntegerField(editable=False, null=True)),
                ('queued_at', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='queued')),
                ('started_at', models.DateTimeField(null=True, verbose_name='started')),
                ('applying_at', models.DateTimeField(editable=False, null=True)),
                ('judging_at', models.DateTimeField(editable=False, null=True)),
                ('finished_at', models.DateTimeField(null=True, verbose_name='finished')),
                ('pruned_at', models.DateTimeField(editable=False, null=True)),
                ('http_requests', models.PositiveIntegerField(default=0, verbose_name='requests')),
                ('waited_seconds', models.FloatField(default=0, verbose_name='seconds waited')),
                ('orders_checked', models.PositiveIntegerField(default=0, verbose_name='orders checked')),
                ('orders_changed', models.PositiveIntegerField(default=0, verbose_name='orders changed')),
                ('balances_read', models.BooleanField(default=False, editable=False)),
                ('message', models.CharField(blank=True, max_length=500, verbose_name='message')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='runs', to='portfolios.exchangeaccount', verbose_name='account')),
                ('requested_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to=settings.AUTH_USER_MODEL, verbose_name='requested by')),
            ],
            options={
                'verbose_name': 'sync run',
                'verbose_name_plural': 'sync runs',
                'ordering': ['-pk'],
                'indexes': [models.Index(fields=['account', '-id'], name='run_account_newest'), models.Index(fields=['account', 'status'], name='run_account_status'), models.Index(fields=['status', '-id'], name='run_status_newest'), models.Index(fields=['finished_at', 'status'], name='run_finished'), models.Index(fields=['queued_at'], name='run_queued')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('status__in', ['queued', 'running'])), fields=('account',), name='one_open_run_per_account')],
            },
        ),
        migrations.CreateModel(
            name='StoredLeg',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=portfolios.models.choices.leg_kinds, max_length=14, verbose_name='kind')),
                ('subject', models.CharField(blank=True, max_length=128, verbose_name='subject')),
                ('status', models.CharField(choices=portfolios.models.choices.leg_statuses, max_length=12, verbose_name='status')),
                ('row_count', models.PositiveIntegerField(default=0, verbose_name='rows')),
                ('complete', models.BooleanField(default=False, verbose_name='whole')),
                ('why_incomplete', models.CharField(blank=True, max_length=200, verbose_name='why not whole')),
                ('pages', models.PositiveIntegerField(default=0, verbose_name='pages')),
                ('since', models.DateTimeField(null=True, verbose_name='since')),
                ('until', models.DateTimeField(null=True, verbose_name='until')),
                ('clock_offset', models.FloatField(default=0, verbose_name='clock offset')),
                ('requested_at', models.DateTimeField(verbose_name='asked')),
                ('responded_at', models.DateTimeField(verbose_name='answered')),
                ('error_category', models.CharField(blank=True, max_length=20, verbose_name='category of the error')),
                ('error_kind', models.CharField(blank=True, max_length=100, verbose_name='kind of error')),
                ('error_message', models.CharField(blank=True, max_length=500, verbose_name='message of the error')),
                ('content', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='legs', to='portfolios.legcontent', verbose_name='content')),
                ('run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='legs', to='portfolios.syncrun', verbose_name='run')),
            ],
            options={
                'verbose_name': 'read',
                'verbose_name_plural': 'reads',
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='PortfolioSnapshot',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('taken_at', models.DateTimeField(verbose_name='taken')),
                ('confirmed_at', models.DateTimeField(verbose_name='confirmed')),
                ('unallocated', portfolios.fields.AmountField(null=True, verbose_name='unallocated')),
                ('net_size', portfolios.fields.AmountField(null=True, verbose_name='net size')),
                ('pending', portfolios.fields.AmountField(null=True, verbose_name='pending')),
                ('positions', models.JSONField(default=list, verbose_name='positions')),
                ('portfolio', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='snapshots', to='portfolios.portfolio', verbose_name='portfolio')),
                ('first_run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='portfolios.syncrun', verbose_name='first run')),
                ('last_run', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='+', to='portfolios.syncrun', verbose_name='last run')),
            ],
            options={
                'verbose_name': 'portfolio snapshot',
                'verbose_name_plural': 'portfolio snapshots',
                'ordering': ['-pk'],
                'indexes': [models.Index(fields=['portfolio', '-id'], name='portfolio_snapshot_newest')],
            },
        ),
        migrations.CreateModel(
            name='OrderVersion',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('number', models.PositiveIntegerField(verbose_name='version')),
                ('price', portfolios.fields.AmountField(null=True, verbose_name='price')),
                ('amount', portfolios.fields.AmountField(verbose_name='amount')),
                ('filled', portfolios.fields.AmountField(null=True, verbose_name='filled')),
                ('average', portfolios.fields.AmountField(null=True, verbose_name='average')),
                ('replaced_at', models.DateTimeField(verbose_name='replaced')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='portfolios.order', verbose_name='order')),
                ('run', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, to='portfolios.syncrun', verbose_name='run')),
            ],
            options={
                'verbose_name': 'order version',
                'verbose_name_plural': 'order versions',
                'ordering': ['order', 'number'],
                'constraints': [models.UniqueConstraint(fields=('order', 'number'), name='order_version_unique')],
            },
        ),
        migrations.CreateModel(
            name='Occurrence',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('subject', models.CharField(blank=True, max_length=128, verbose_name='subject')),
                ('message', models.CharField(max_length=500, verbose_name='message')),
                ('trace', models.TextField(blank=True, verbose_name='trace')),
                ('occurred_at', models.DateTimeField(verbose_name='occurred')),
                ('incident', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='occurrences', to='portfolios.incident', verbose_name='incident')),
                ('run', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='occurrences', to='portfolios.syncrun', verbose_name='run')),
            ],
            options={
                'verbose_name': 'occurrence',
                'verbose_name_plural': 'occurrences',
                'ordering': ['-pk'],
                'indexes': [models.Index(fields=['incident', 'occurred_at'], name='occurrence_in_time')],
            },
        ),
        migrations.CreateModel(
            name='LedgerEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('asset', models.CharField(max_length=64, verbose_name='asset')),
                ('amount', portfolios.fields.AmountField(verbose_name='amount')),
                ('cost', portfolios.fields.AmountField(default=Decimal('0'), verbose_name='cost')),
                ('gain', portfolios.fields.AmountField(default=Decimal('0'), verbose_name='realised gain')),
                ('cause', models.CharField(choices=[('opening', 'Opening'), ('baseline', 'Baseline'), ('execution', 'Execution'), ('fee', 'Fee'), ('deposit', 'Deposit'), ('withdrawal', 'Withdrawal'), ('transfer', 'Transfer'), ('reward', 'Reward'), ('conversion', 'Conversion'), ('assignment', 'Assignment'), ('adjustment', 'Adjustment'), ('rebaseline', 'New baseline')], max_length=12, verbose_name='cause')),
                ('key', models.CharField(editable=False, max_length=200)),
                ('booked_at', models.DateTimeField(auto_now_add=True, verbose_name='booked')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='ledger_entries', to='portfolios.exchangeaccount', verbose_name='account')),
                ('decision', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='ledger_entries', to='portfolios.decision', verbose_name='decision')),
                ('fill', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='ledger_entries', to='portfolios.fill', verbose_name='fill')),
                ('flow', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='ledger_entries', to='portfolios.flow', verbose_name='flow')),
                ('order', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='ledger_entries', to='portfolios.order', verbose_name='order')),
                ('portfolio', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='ledger_entries', to='portfolios.portfolio', verbose_name='portfolio')),
                ('run', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='ledger_entries', to='portfolios.syncrun', verbose_name='run')),
            ],
            options={
                'verbose_name': 'ledger entry',
                'verbose_name_plural': 'ledger entries',
                'ordering': ['pk'],
                'indexes': [models.Index(fields=['account', 'portfolio', 'asset'], name='ledger_owner_asset'), models.Index(fields=['account', '-id'], name='ledger_account_newest'), models.Index(fields=['account', 'run'], name='ledger_account_run'), models.Index(fields=['portfolio', '-id'], name='ledger_portfolio_newest')],
                'constraints': [models.UniqueConstraint(fields=('account', 'key'), name='ledger_entry_booked_once')],
            },
        ),
        migrations.CreateModel(
            name='JudgedSnapshot',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('window_low', models.DateTimeField()),
                ('window_high', models.DateTimeField()),
                ('seen_at', models.DateTimeField()),
                ('settled_at', models.DateTimeField(null=True)),
                ('last_entry', models.PositiveBigIntegerField(default=0)),
                ('follows_a_gap', models.BooleanField(default=False, editable=False)),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='snapshots', to='portfolios.exchangeaccount')),
                ('content', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='snapshots', to='portfolios.judgedcontent')),
                ('run', models.OneToOneField(on_delete=django.db.models.deletion.CASCADE, related_name='snapshot', to='portfolios.syncrun')),
                ('settled_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='portfolios.syncrun')),
            ],
            options={
                'verbose_name': 'judged snapshot',
                'verbose_name_plural': 'judged snapshots',
                'ordering': ['pk'],
                'indexes': [models.Index(fields=['account', '-id'], name='snapshot_account_newest')],
            },
        ),
        migrations.AddField(
            model_name='exchangeaccount',
            name='baseline_run',
            field=models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='portfolios.syncrun'),
        ),
        migrations.AddField(
            model_name='exchangeaccount',
            name='quiet_run',
            field=models.ForeignKey(editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='portfolios.syncrun'),
        ),
        migrations.CreateModel(
            name='DiscrepancyEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('episode', models.PositiveIntegerField(verbose_name='episode')),
                ('before', models.CharField(blank=True, choices=[('SUSPECTED', 'Suspected'), ('OPEN', 'Open'), ('ACKNOWLEDGED', 'Acknowledged'), ('RESOLVED', 'Resolved'), ('DISMISSED', 'Dismissed')], max_length=12, verbose_name='before')),
                ('after', models.CharField(choices=[('SUSPECTED', 'Suspected'), ('OPEN', 'Open'), ('ACKNOWLEDGED', 'Acknowledged'), ('RESOLVED', 'Resolved'), ('DISMISSED', 'Dismissed')], max_length=12, verbose_name='after')),
                ('difference', portfolios.fields.AmountField(null=True, verbose_name='difference')),
                ('reason', models.CharField(blank=True, max_length=500, verbose_name='reason')),
                ('at', models.DateTimeField(verbose_name='time')),
                ('decision', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='events', to='portfolios.decision', verbose_name='decision')),
                ('discrepancy', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='events', to='portfolios.discrepancy', verbose_name='discrepancy')),
                ('run', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='portfolios.syncrun', verbose_name='run')),
            ],
            options={
                'verbose_name': 'discrepancy event',
                'verbose_name_plural': 'discrepancy events',
                'ordering': ['pk'],
            },
        ),
        migrations.CreateModel(
            name='CircuitBreaker',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('place', models.CharField(blank=True, max_length=200)),
                ('failures', models.PositiveIntegerField(default=0)),
                ('vanished', models.PositiveIntegerField(default=0)),
                ('account_ids', models.JSONField(default=list)),
                ('message', models.CharField(blank=True, max_length=500)),
                ('since', models.DateTimeField()),
                ('retry_at', models.DateTimeField(null=True)),
                ('probe_until', models.DateTimeField(null=True)),
                ('account', models.OneToOneField(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='breaker', to='portfolios.exchangeaccount')),
            ],
            options={
                'verbose_name': 'circuit breaker',
                'verbose_name_plural': 'circuit breakers',
                'constraints': [models.UniqueConstraint(condition=models.Q(('place', ''), _negated=True), fields=('place',), name='one_breaker_per_place'), models.CheckConstraint(condition=models.Q(models.Q(('account__isnull', False), ('place', '')), models.Q(('account__isnull', True), models.Q(('place', ''), _negated=True)), _connector='OR'), name='breaker_of_an_account_or_a_place')],
            },
        ),
        migrations.CreateModel(
            name='AssetRule',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.CharField(choices=[('alias', 'Counts as another asset'), ('earn', 'The rest of the total is in earn'), ('dust', 'Dust below an amount')], max_length=5, verbose_name='kind')),
                ('asset', models.CharField(max_length=64, verbose_name='asset')),
                ('counts_as', models.CharField(blank=True, max_length=64, verbose_name='counts as')),
                ('amount', portfolios.fields.AmountField(blank=True, null=True, verbose_name='amount')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='asset_rules', to='portfolios.exchangeaccount', verbose_name='account')),
            ],
            options={
                'verbose_name': 'asset rule',
                'verbose_name_plural': 'asset rules',
                'ordering': ['account', 'asset', 'kind'],
                'constraints': [models.UniqueConstraint(fields=('account', 'kind', 'asset'), name='asset_rule_unique_in_account'), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'alias'), _negated=True), models.Q(('counts_as', ''), _negated=True), _connector='XOR'), name='asset_rule_alias_names_an_asset'), models.CheckConstraint(condition=models.Q(models.Q(('kind', 'dust'), _negated=True), ('amount__isnull', False), _connector='XOR'), name='asset_rule_dust_has_an_amount')],
            },
        ),
        migrations.CreateModel(
            name='AssetBalance',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('wallet', models.CharField(max_length=20, verbose_name='wallet')),
                ('asset', models.CharField(max_length=64, verbose_name='asset')),
                ('free', portfolios.fields.AmountField(null=True, verbose_name='free')),
                ('used', portfolios.fields.AmountField(null=True, verbose_name='used')),
                ('total', portfolios.fields.AmountField(null=True, verbose_name='total')),
                ('expected', portfolios.fields.AmountField(null=True, verbose_name='book')),
                ('residual', portfolios.fields.AmountField(null=True, verbose_name='difference')),
                ('residual_low', portfolios.fields.AmountField(null=True, verbose_name='least residual')),
                ('residual_high', portfolios.fields.AmountField(null=True, verbose_name='greatest residual')),
                ('tolerance', portfolios.fields.AmountField(null=True, verbose_name='tolerance')),
                ('verdict', models.CharField(choices=[('VERIFIED', 'Verified'), ('CONSISTENT', 'Consistent'), ('DIFFERS', 'Differs'), ('PROVISIONAL', 'Provisional'), ('NOT_VERIFIABLE', 'Not verifiable')], max_length=16, verbose_name='verdict')),
                ('reason', models.CharField(blank=True, max_length=200, verbose_name='reason')),
                ('used_verdict', models.CharField(blank=True, choices=[('VERIFIED', 'Verified'), ('CONSISTENT', 'Consistent'), ('DIFFERS', 'Differs'), ('PROVISIONAL', 'Provisional'), ('NOT_VERIFIABLE', 'Not verifiable')], max_length=16, verbose_name='used verdict')),
                ('used_low', portfolios.fields.AmountField(null=True, verbose_name='used low')),
                ('used_high', portfolios.fields.AmountField(null=True, verbose_name='used high')),
                ('observed_at', models.DateTimeField(verbose_name='observed')),
                ('provisional', models.BooleanField(default=False, verbose_name='provisional')),
                ('newest_free', portfolios.fields.AmountField(null=True, verbose_name='newest free')),
                ('newest_used', portfolios.fields.AmountField(null=True, verbose_name='newest used')),
                ('newest_total', portfolios.fields.AmountField(null=True, verbose_name='newest total')),
                ('newest_at', models.DateTimeField(null=True, verbose_name='newest read')),
                ('account', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='balances', to='portfolios.exchangeaccount', verbose_name='account')),
            ],
            options={
                'verbose_name': 'balance',
                'verbose_name_plural': 'balances',
                'ordering': ['asset'],
                'constraints': [models.UniqueConstraint(fields=('account', 'wallet', 'asset'), name='balance_unique_in_wallet')],
            },
        ),
        migrations.AddConstraint(
            model_name='order',
            constraint=models.UniqueConstraint(condition=models.Q(models.Q(('external_id', ''), _negated=True), ('is_backtest', True)), fields=('portfolio', 'symbol', 'external_id'), name='order_id_unique_in_backtest'),
        ),
        migrations.AddIndex(
            model_name='order',
            index=models.Index(fields=['portfolio', '-created_at', '-id'], name='order_portfolio_newest'),
        ),
        migrations.RunPython(guard_append_only),
    ]
