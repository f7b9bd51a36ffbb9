//! Sign-ins and their places.

use std::borrow::Cow;

use async_graphql::{OutputType, SelectionField};

use super::{Column, Needs, Plain, Plan};
use crate::domain::location::Location;
use crate::graphql::lists::DETAILS;
use crate::graphql::types::{self, LoginEvent, LoginMethod, LoginOutcome};

impl Plain for LoginEvent {
    fn type_name() -> Cow<'static, str> {
        <Self as OutputType>::type_name()
    }

    fn column(asked: &[SelectionField<'_>], needs: &mut Needs) -> Option<Column<Self>> {
        let name = asked.first()?.name();
        needs.details |= DETAILS.contains(&name);
        Some(match name {
            "id" => Box::new(|event, _, json| json.id(event.0.id)),
            "at" => Box::new(|event, _, json| json.time(Some(event.0.at))),
            "attemptedLogin" => Box::new(|event, _, json| json.scalar(&event.0.attempted_login)),
            "outcome" => Box::new(|event, _, json| json.item(Some(LoginOutcome::from(event.0.outcome)))),
            "method" => Box::new(|event, _, json| json.item(Some(LoginMethod::from(event.0.method)))),
            "ip" => Box::new(|event, _, json| json.scalar(event.0.origin.ip)),
            "location" => {
                let plan = Plan::<Location>::of(asked, needs)?;
                Box::new(move |event, loaded, json| {
                    let location = event.0.origin.location.as_ref();
                    plan.write_or_null(location, loaded, json);
                })
            }
            "browser" => Box::new(|event, _, json| json.scalar(event.0.origin.browser.as_deref())),
            "operatingSystem" => Box::new(|event, _, json| json.scalar(event.0.origin.operating_system.as_deref())),
            "device" => Box::new(|event, _, json| json.scalar(event.0.origin.device.as_deref())),
            "userAgent" => Box::new(|event, _, json| json.scalar(event.0.origin.user_agent.as_deref())),
            "detail" => Box::new(|event, loaded, json| json.scalar(event.detail_for(&loaded.caller))),
            "impersonatorName" => {
                Box::new(|event, _, json| json.scalar(event.0.impersonator.as_ref().map(|acting| acting.name.as_str())))
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
            "country" => Box::new(|location, _, json| json.scalar(location.country.as_deref())),
            "countryCode" => Box::new(|location, _, json| json.scalar(location.country_code.as_deref())),
            "city" => Box::new(|location, _, json| json.scalar(location.city.as_deref())),
            "latitude" => Box::new(|location, _, json| json.scalar(location.latitude)),
            "longitude" => Box::new(|location, _, json| json.scalar(location.longitude)),
            _ => return None,
        })
    }
}
