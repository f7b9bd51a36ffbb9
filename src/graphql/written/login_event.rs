//! Sign-ins and their places.

use std::borrow::Cow;

use async_graphql::resolver_utils::enum_value;
use async_graphql::{OutputType, SelectionField, Value};

use super::{Column, Needs, Plain, Plan, or_null, text};
use crate::domain::location::Location;
use crate::graphql::node_id;
use crate::graphql::scalars::time;
use crate::graphql::types::{self, LoginEvent, LoginMethod, LoginOutcome};

impl Plain for LoginEvent {
    fn type_name() -> Cow<'static, str> {
        <Self as OutputType>::type_name()
    }

    fn column(asked: &[SelectionField<'_>], needs: &mut Needs) -> Option<Column<Self>> {
        Some(match asked.first()?.name() {
            "id" => Box::new(|event, _| text(node_id::encode(event.0.id).0)),
            "at" => Box::new(|event, _| time(event.0.at)),
            "attemptedLogin" => Box::new(|event, _| text(&event.0.attempted_login)),
            "outcome" => Box::new(|event, _| enum_value(LoginOutcome::from(event.0.outcome))),
            "method" => Box::new(|event, _| enum_value(LoginMethod::from(event.0.method))),
            "ip" => Box::new(|event, _| Value::String(event.0.origin.ip.to_string())),
            "location" => {
                let plan = Plan::<Location>::of(asked, needs)?;
                Box::new(move |event, loaded| {
                    let location = event.0.origin.location.as_ref();
                    location.map_or(Value::Null, |location| plan.write(location, loaded))
                })
            }
            "browser" => Box::new(|event, _| or_null(event.0.origin.browser.as_deref())),
            "operatingSystem" => Box::new(|event, _| or_null(event.0.origin.operating_system.as_deref())),
            "device" => Box::new(|event, _| or_null(event.0.origin.device.as_deref())),
            "userAgent" => Box::new(|event, _| or_null(event.0.origin.user_agent.as_deref())),
            "detail" => Box::new(|event, loaded| or_null(event.detail_for(&loaded.caller))),
            "impersonatorName" => {
                Box::new(|event, _| or_null(event.0.impersonator.as_ref().map(|acting| acting.name.as_str())))
            }
            _ => return None,
        })
    }
}

impl Plain for Location {
    fn type_name() -> Cow<'static, str> {
        <types::Location as OutputType>::type_name()
    }

    fn column(asked: &[SelectionField<'_>], _: &mut Needs) -> Option<Column<Self>> {
        Some(match asked.first()?.name() {
            "country" => Box::new(|location, _| or_null(location.country.as_deref())),
            "countryCode" => Box::new(|location, _| or_null(location.country_code.as_deref())),
            "city" => Box::new(|location, _| or_null(location.city.as_deref())),
            "latitude" => Box::new(|location, _| or_null(location.latitude)),
            "longitude" => Box::new(|location, _| or_null(location.longitude)),
            _ => return None,
        })
    }
}
